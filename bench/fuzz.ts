import { mkdir, mkdtemp, open, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { seeded } from '../export/data/random.js';
import { positive, whole } from '../src/cli/numbers.js';
import { type Case, makeCase, type Seeds } from './fuzz/cases.js';
import { exchange, type Replies, type Reply } from './fuzz/http.js';
import { featureSeeds, imageSeeds } from './fuzz/seeds.js';
import { inferenceRequests } from './inference.js';
import { type Server, startServer } from './server.js';
import { createCounts } from './table.js';

// Sends requests that are wrong in every way to a service on this machine, and looks whether it stands. The same seed
// gives the same requests.

const CONNECTIONS = 8;
/** Requests after which the memory is taken for what the service needs. */
const WARM_UP = 800;
/** Seconds of rest before memory is measured: V8 gives back what it does not need only when nothing happens for a while. */
const REST = 45;
/** How much of its memory the service may have gained in the end. */
const GROWTH = 1.1;
/** Seconds after which the service gives a request up, and after which we do. */
const TIMEOUT = 10;
const HANG_MS = 30_000;
/** When a client whose request may be incomplete says that no more will come. */
const END_MS = 300;

const options = new Command('fuzz')
  .description('Sends requests that are wrong in every way to a service of its own on this machine; ends in a table.')
  .option('--count <n>', 'requests', whole(1), 20_000)
  .option('--seed <n>', 'what they are drawn by', whole(0), 1)
  .option('--minutes <n>', 'when to stop at the latest', positive, 20)
  .option('--keep <folder>', 'where requests go that found something (default: a new folder)')
  .parse()
  .opts<{ count: number; seed: number; minutes: number; keep?: string }>();
const { count, seed, minutes } = options;
const keep = options.keep ?? (await mkdtemp(join(tmpdir(), 'irevnet-fuzz-')));
await mkdir(keep, { recursive: true });
const log = await open(join(keep, 'service.log'), 'w');
const server = await startServer(['--timeout', `${TIMEOUT}`, '--log-level', 'error'], log.fd);
const findings: string[] = [];
const counts = createCounts();

let alive = true;
server.ended.then(() => {
  alive = false;
});

try {
  const inference = await inferenceRequests(server.base, 'fashion-mnist');
  const seeds: Seeds = { images: await imageSeeds(), features: featureSeeds(), inference };
  const deadline = performance.now() + minutes * 60_000;
  const warm = Math.min(WARM_UP, Math.ceil(count / 4));
  await sendAll(seeds, 0, warm, deadline);
  const before = alive ? await rested(server) : 0;
  const sent = warm + (await sendAll(seeds, warm, count, deadline));
  const after = alive ? await rested(server) : 0;
  if (after > GROWTH * before) findings.push(`the memory grew from ${megabytes(before)} to ${megabytes(after)}`);
  const memory = `${megabytes(before)} after ${warm} requests, ${megabytes(after)} in the end`;
  process.stdout.write(`${counts}\n\nseed ${seed}, ${sent} requests; memory ${memory}\n`);
} finally {
  const code = await server.stop();
  if (code !== 0) findings.push(`the service ended with ${code}`);
  await log.close();
}
for (const finding of findings) process.stdout.write(`${finding}\n`);
process.stdout.write(findings.length === 0 ? 'nothing found\n' : `${findings.length} findings; requests in ${keep}\n`);
process.exitCode = findings.length === 0 ? 0 : 1;

/** Sends the requests of these numbers, some at a time, until time is up or the service ends. Gives how many were sent. */
async function sendAll(seeds: Seeds, from: number, to: number, deadline: number): Promise<number> {
  let next = from;
  const client = async () => {
    while (alive && next < to && performance.now() < deadline) {
      const number = next++;
      const made = makeCase(seeded(seed, number), seeds);
      const answer = await exchange(server.port, made.bytes, {
        endMs: made.whole ? HANG_MS : END_MS,
        limitMs: HANG_MS,
      });
      counts.add(made.kind, String(answer.replies[0]?.status ?? 'closed'));
      // That a process has ended is known a little later than that its connections have.
      if (answer.replies.length === 0) await sleep(100);
      const wrong = alive ? mistakeOf(made, answer) : 'the service ended while this was under way';
      if (wrong !== undefined) await remember(number, made, wrong);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  return next - from;
}

/** What is wrong with what came back; undefined when nothing is. */
function mistakeOf({ whole }: Case, { replies, hung }: Replies): string | undefined {
  if (hung) return 'no answer in time';
  if (replies.length === 0) return whole ? 'no answer' : undefined;
  if (whole && replies.some(({ status }) => status === 408)) return 'status 408, though all of the request was sent';
  return replies.map(faultOf).find((fault) => fault !== undefined);
}

function faultOf({ status, type, body }: Reply): string | undefined {
  if (status === undefined) return 'bytes that are no answer';
  if (status >= 500) return `status ${status}: ${body.toString('latin1').slice(0, 300)}`;
  if (status < 400 || body.length === 0) return undefined;
  return type.endsWith('json') && isJson(body) ? undefined : `status ${status} without a reason that can be read`;
}

function isJson(body: Buffer): boolean {
  try {
    return typeof JSON.parse(body.toString()) === 'object';
  } catch {
    return false;
  }
}

async function remember(number: number, { kind, bytes }: Case, wrong: string): Promise<void> {
  const file = `${number}-${kind.replaceAll(' ', '-')}.http`;
  await writeFile(join(keep, file), bytes);
  findings.push(`${file}: ${wrong}`);
}

/** The bytes that the service holds after a rest. */
async function rested(service: Server): Promise<number> {
  await sleep(REST * 1000);
  return service.rss();
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

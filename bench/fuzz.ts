import { once } from 'node:events';
import { connect } from 'node:net';
import { Command } from 'commander';
import { seeded } from '../export/data/random.js';
import { whole } from '../src/cli/numbers.js';
import { problems } from '../src/common/problems.js';
import { drawRequest, type HostileRequest, type Seeds } from './fuzz/requests.js';
import { featureSeeds, imageSeeds } from './fuzz/seeds.js';
import { inferenceRequests } from './requests.js';
import { type Server, startServer } from './server.js';

// Sends hostile requests to a service of its own. The service must answer each complete one, never with a 5xx, and every
// refusal with a known problem code; at the end it must still classify, and its memory must not have grown much.

const CONNECTIONS = 8;
/** The share of the requests after which memory is measured for the first time. */
const WARM_UP = 0.25;
/** The largest ratio of the memory at the end to that after the warm-up. */
const GROWTH = 1.5;
/** Seconds after which the service gives a request up, and after which this client does. */
const TIMEOUT = 10;
const HANG = 30;
/** Milliseconds after which a client with an incomplete request closes its side of the connection. */
const END_MS = 300;
const SHOWN = 20;

const options = new Command('fuzz')
  .description('Sends hostile requests to a service of its own; the exit code is 1 when something was wrong.')
  .option('--count <n>', 'requests', whole(1), 20_000)
  .option('--seed <n>', 'seed of the requests', whole(0), 1)
  .option('--first <n>', 'the number of the first request, to repeat a single one', whole(0), 0)
  .parse()
  .opts<{ count: number; seed: number; first: number }>();
const { count, seed, first } = options;
const findings: string[] = [];
const statuses: Record<string, Record<string, number>> = {};

const flags = ['--timeout', `${TIMEOUT}`, '--log-level', 'error', '--model-control-mode', 'explicit'];
await using server = await startServer(flags);
const seeds = {
  images: await imageSeeds(),
  features: featureSeeds(),
  inference: await inferenceRequests(server.base, 'fashion-mnist'),
};
const warm = first + Math.ceil(WARM_UP * count);
await sendAll(server, seeds, first, warm);
const start = await server.megabytes();
await sendAll(server, seeds, warm, first + count);
const end = await server.megabytes();
if (end > GROWTH * start) findings.push(`memory grew by more than ${GROWTH} times`);
if (!(await classifies(server))) findings.push('the service does not classify any more');

console.table(statuses);
console.log(`${count} requests, seed ${seed}; memory: ${start} MB after a quarter of them, ${end} MB at the end`);
for (const finding of findings.slice(0, SHOWN)) console.log(finding);
console.log(findings.length === 0 ? 'nothing found' : `${findings.length} findings`);
process.exitCode = findings.length === 0 ? 0 : 1;

async function sendAll({ port }: Server, seeds: Seeds, from: number, to: number): Promise<void> {
  let next = from;
  const client = async () => {
    while (next < to) {
      const number = next++;
      const request = drawRequest(seeded(seed, number), seeds);
      const answers = await exchange(port, request);
      const status = answers?.[0]?.slice(9, 12) ?? 'none';
      statuses[request.kind] ??= {};
      statuses[request.kind]![status] = (statuses[request.kind]![status] ?? 0) + 1;
      const wrong = mistakeIn(request, answers);
      if (wrong !== undefined) findings.push(`request ${number} (${request.kind}): ${wrong}`);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
}

/** Sends bytes on a new connection. Resolves with the answers when it is closed; undefined where that takes too long. */
async function exchange(port: number, { bytes, complete }: HostileRequest): Promise<string[] | undefined> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const chunks: Buffer[] = [];
  // A reset ends a connection too; whether the service has answered before is seen in the bytes.
  socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => undefined);
  socket.on('end', () => socket.destroy());
  socket.write(bytes);
  const closing = setTimeout(() => socket.end(), complete ? HANG * 1000 : END_MS);
  const closed = await once(socket, 'close', { signal: AbortSignal.timeout(HANG * 1000) }).catch(() => undefined);
  clearTimeout(closing);
  socket.destroy();
  const text = Buffer.concat(chunks).toString('latin1');
  return (
    closed &&
    text.split(/(?=HTTP\/1\.1 \d{3} )/).filter((answer) => answer !== '' && !answer.startsWith('HTTP/1.1 100'))
  );
}

/** What is wrong with the answers to a request; undefined when nothing is. */
function mistakeIn(
  { complete, bytes, status: only }: HostileRequest,
  answers: readonly string[] | undefined,
): string | undefined {
  if (answers === undefined) return `the connection is open after ${HANG} s`;
  if (complete && answers.length === 0) return 'no answer';
  for (const answer of answers) {
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? Number.NaN);
    const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
    if (Number.isNaN(status)) return `not an HTTP answer: ${answer.slice(0, 100)}`;
    if (only !== undefined && status !== only) return `status ${status}, expected ${only}: ${body.slice(0, 300)}`;
    if (complete && status === 408) return 'status 408 although the request was complete';
    if (
      status >= 500 ||
      (status >= 400 && !bytes.toString('latin1', 0, 5).startsWith('HEAD') && !isProblem(status, body))
    )
      return `status ${status}: ${body.slice(0, 300)}`;
  }
  return undefined;
}

/** Whether a body is a known problem of this status, or an error of the Open Inference Protocol. */
function isProblem(status: number, body: string): boolean {
  try {
    const { code, error } = JSON.parse(body) as { code?: string; error?: string };
    return typeof error === 'string' || problems[code as keyof typeof problems]?.status === status;
  } catch {
    return false;
  }
}

async function classifies({ base }: Server): Promise<boolean> {
  const headers = { 'content-type': 'image/png' };
  const body = seeds.images[0]! as Uint8Array<ArrayBuffer>;
  return (await fetch(`${base}/classify`, { method: 'POST', headers, body }).catch(() => undefined))?.ok === true;
}

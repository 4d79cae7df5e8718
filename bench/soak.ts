import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { seeded } from '../export/data/random.js';
import { positive, whole } from '../src/cli/numbers.js';
import { readMetrics } from './metrics.js';
import { startServer } from './server.js';
import { openSurroundings } from './soak/around.js';
import { drawKind, kinds } from './soak/kinds.js';
import { rounded, trend } from './statistics.js';
import { createCounts } from './table.js';

// Everything that the service does, mixed with everything that clients do wrong, for a long time at a steady rate: is every
// answer the right one, and does the memory stay?

/** Two thirds of what two cores can do: it takes tens of thousands of requests until V8 and the allocator have what they need. */
const RATE = 90;
/** Seconds whose requests may be under way at once. */
const CAP_SECONDS = 4;
const SAMPLE_MS = 1000;
/** When the service has done with what clients have left, after the last of them. */
const REST_MS = 2000;
/** Samples without which nothing is said of a slope. */
const LEAST = 60;
/** Unexpected answers that are shown. */
const SHOWN = 20;

interface Sample {
  readonly seconds: number;
  readonly megabytes: number;
  readonly answered: number;
}

const options = new Command('soak')
  .description(
    'Mixed load, abuse included, on a service of its own on this machine; ends in a table and the slope of its memory.',
  )
  .option('--minutes <n>', 'how long', positive, 30)
  .option('--rate <n>', 'requests a second; fewer where two cores do not keep up', positive, RATE)
  .option('--seed <n>', 'what requests are drawn by', whole(0), 1)
  .option('--log <file>', 'where the samples of each second go')
  .parse()
  .opts<{ minutes: number; rate: number; seed: number; log?: string }>();
const { minutes, rate, seed } = options;
const cap = Math.ceil(rate * CAP_SECONDS);
const log = options.log === undefined ? undefined : await open(options.log, 'w');
const counts = createCounts();
const unexpected: string[] = [];
const samples: Sample[] = [];
let answered = 0;

const server = await startServer(['--log-level', 'error'], 1);
let alive = true;
server.ended.then(() => {
  alive = false;
});
const around = await openSurroundings(server, cap);
try {
  const start = performance.now();
  const end = start + minutes * 60_000;
  await Promise.all([sendUntil(end), sampleUntil(start, end)]);
  if (alive) unexpected.push(...(await leftBehind()));
} finally {
  await around.pool.destroy();
  const code = await server.stop();
  if (code !== 0) unexpected.push(`the service ended with ${code}`);
  await log?.close();
}
process.stdout.write(`${counts}\n\n${answered} answers, ${unexpected.length} unexpected\n`);
for (const line of unexpected.slice(0, SHOWN)) process.stdout.write(`  ${line}\n`);
process.stdout.write(`${memory()}\n`);
process.exitCode = unexpected.length === 0 ? 0 : 1;

/** Sends requests at fixed times, each of a kind that is drawn. */
async function sendUntil(end: number): Promise<void> {
  const under = new Set<Promise<void>>();
  const start = performance.now();
  for (let number = 0; alive; number++) {
    const due = start + (number * 1000) / rate;
    if (due >= end) break;
    await sleep(Math.max(0, due - performance.now()));
    if (under.size >= cap) await Promise.race(under);
    const task = sendOne(number).finally(() => under.delete(task));
    under.add(task);
  }
  await Promise.all(under);
}

async function sendOne(number: number): Promise<void> {
  const random = seeded(seed, number);
  const kind = drawKind(random);
  const { status, wrong } = await kinds[kind]!.run(around, random).catch((error: Error) => ({
    status: 'failed',
    wrong: error.message,
  }));
  counts.add(kind, status);
  answered++;
  if (wrong !== undefined) unexpected.push(`request ${number}, ${kind}, ${status}: ${wrong}`);
}

/** Notes the memory of the service from time to time. */
async function sampleUntil(start: number, end: number): Promise<void> {
  while (alive && performance.now() < end) {
    const seconds = (performance.now() - start) / 1000;
    const sample = { seconds, megabytes: (await server.rss()) / 1e6, answered };
    samples.push(sample);
    await log?.write(`${JSON.stringify(sample)}\n`);
    await sleep(SAMPLE_MS);
  }
}

/** What the service takes for under way still, when nobody asks for anything any more. */
async function leftBehind(): Promise<string[]> {
  await sleep(REST_MS);
  const read = await readMetrics(server.base);
  const left = { images: read('irevnet_in_flight_images'), requests: read('irevnet_in_flight_requests') - 1 };
  return Object.entries(left).flatMap(([what, count]) =>
    count === 0 ? [] : [`${count} ${what} never came to an end`],
  );
}

/** How the memory changed after the first third, in which the service takes what it needs. */
function memory(): string {
  const settled = samples.slice(Math.floor(samples.length / 3));
  const [first, last] = [settled[0]!, settled.at(-1)!];
  const between = `${Math.round(first.megabytes)} MB after ${Math.round(first.seconds)} s, ${Math.round(last.megabytes)} MB after ${Math.round(last.seconds)} s`;
  if (settled.length < LEAST) return `memory: ${between}; too short to tell a slope`;
  const { slope, standardError, from, to } = trend(
    settled.map(({ seconds }) => seconds / 3600),
    settled.map(({ megabytes }) => megabytes),
  );
  const zero = from <= 0 && to >= 0 ? 'zero is inside' : 'zero is outside';
  const [shown, error, least, most] = [slope, standardError, from, to].map(rounded);
  const interval = `95% interval ${least} to ${most}: ${zero}`;
  return `memory: ${between}; slope ${shown} MB/h (standard error ${error}, ${interval})`;
}

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { Pool } from 'undici';
import { seeded } from '../export/data/random.js';
import { packagePath } from '../export/files/package.js';
import { positive, whole } from '../src/cli/numbers.js';
import { fashionImages } from './pictures.js';
import { inferenceRequests } from './requests.js';
import { startServer } from './server.js';
import { drawKind, known } from './soak/kinds.js';

// Sends everything that clients ask for, mixed with everything that they do wrong, for a long time: are the answers right,
// does no request stay in the service, and how much memory does it hold at the start and at the end?

/** The share of the time after which memory is measured for the first time. */
const WARM_UP = 1 / 3;
/** Milliseconds after the last answer in which the service forgets the requests that clients have left. */
const REST_MS = 2000;
/** The largest ratio of the memory at the end to that after the warm-up. */
const GROWTH = 1.5;
const SHOWN = 20;

const { minutes, clients, seed } = new Command('soak')
  .description('Sends mixed load to a service of its own; the exit code is 1 when something was wrong.')
  .option('--minutes <n>', 'duration', positive, 30)
  .option('--clients <n>', 'clients that each send one request after the other', whole(1), 8)
  .option('--seed <n>', 'seed of the requests', whole(0), 1)
  .parse()
  .opts<{ minutes: number; clients: number; seed: number }>();
const unexpected: string[] = [];
const statuses: Record<string, Record<string, number>> = {};
const count = (kind: string, status: string) => {
  statuses[kind] ??= {};
  statuses[kind]![status] = (statuses[kind]![status] ?? 0) + 1;
};

await using server = await startServer(['--log-level', 'error']);
const pool = new Pool(server.base, { connections: clients });
const around = {
  pool,
  images: await known(pool, await fashionImages()),
  photograph: await readFile(packagePath('test', 'data', 'images', 'boot-on-white.jpg')),
  inference: await inferenceRequests(server.base, 'fashion-mnist'),
};

const begin = performance.now();
const warm = begin + WARM_UP * minutes * 60_000;
let next = 0;
await sendUntil(warm);
const start = await server.megabytes();
await sendUntil(begin + minutes * 60_000);
const end = await server.megabytes();
if (end > GROWTH * start) unexpected.push(`memory grew by more than ${GROWTH} times`);
await sleep(REST_MS);
unexpected.push(...(await leftBehind()));
await pool.destroy();

console.table(statuses);
console.log(`${next} requests; memory: ${start} MB after a third of the time, ${end} MB at the end`);
for (const line of unexpected.slice(0, SHOWN)) console.log(line);
console.log(unexpected.length === 0 ? 'every answer was right' : `${unexpected.length} unexpected`);
process.exitCode = unexpected.length === 0 ? 0 : 1;

async function sendUntil(time: number): Promise<void> {
  const client = async () => {
    while (performance.now() < time) {
      const number = next++;
      const random = seeded(seed, number);
      const { kind, run } = drawKind(random);
      const { status, wrong } = await run(around, random).catch((error: Error) => ({
        status: 'failed',
        wrong: error.message,
      }));
      count(kind, status);
      if (wrong !== undefined) unexpected.push(`request ${number}, ${kind}, ${status}: ${wrong}`);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
}

/** Images and requests that the service counts as under way although no client waits. */
async function leftBehind(): Promise<string[]> {
  const metrics = await (await fetch(`${server.base}/metrics`)).text();
  const read = (name: string) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(metrics)![1]);
  // One request is that for the metrics.
  const left = { images: read('irevnet_in_flight_images'), requests: read('irevnet_in_flight_requests') - 1 };
  return Object.entries(left).flatMap(([what, n]) => (n === 0 ? [] : [`${n} ${what} never ended`]));
}

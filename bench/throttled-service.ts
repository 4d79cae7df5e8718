import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { readConfig } from '../src/common/config.js';
import { openEngine } from '../src/engine/engine.js';
import type { SpawnWorker } from '../src/engine/replica.js';
import { buildApp } from '../src/http/app.js';
import type { Throttled } from './throttled-worker.js';

// The service, with one worker that takes a fixed time for each batch: as a GPU elsewhere would, for which these cores do
// not work.

const { values } = parseArgs({ options: { port: { type: 'string' }, delay: { type: 'string', default: '0' } } });
const { port, delay } = values;
const spawn: SpawnWorker = (settings) =>
  new Worker(new URL('./throttled-worker.js', import.meta.url), {
    workerData: { ...settings, delay: Number(delay) } satisfies Throttled & typeof settings,
  });

const config = readConfig({ workers: '1', threads: '1', ...(port !== undefined && { port }) }, {});
const engine = await openEngine(config, { spawn });
const app = await buildApp(config, engine, pino({ level: 'silent' }));
process.once('SIGTERM', async () => {
  await app.close();
  await engine.close();
});
await app.listen({ host: config.host, port: config.port });

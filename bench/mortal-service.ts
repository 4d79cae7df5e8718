import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { readConfig } from '../src/common/config.js';
import { openEngine } from '../src/engine/engine.js';
import type { SpawnWorker } from '../src/engine/replica.js';
import { buildApp } from '../src/http/app.js';
import type { Mortal } from './mortal-worker.js';

// The service, with workers of which one dies in the middle of a batch at each SIGUSR2.

const doom = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
process.on('SIGUSR2', () => Atomics.store(doom, 0, 1));

const spawn: SpawnWorker = (settings) =>
  new Worker(new URL('./mortal-worker.js', import.meta.url), {
    workerData: { ...settings, doom } satisfies Mortal & typeof settings,
  });

const { values } = parseArgs({ options: { port: { type: 'string' }, workers: { type: 'string' } } });
const config = readConfig(values);
const engine = await openEngine(config, { spawn });
const app = await buildApp(config, engine, pino({ level: 'silent' }));
process.once('SIGTERM', async () => {
  await app.close();
  await engine.close();
});
await app.listen({ host: config.host, port: config.port });

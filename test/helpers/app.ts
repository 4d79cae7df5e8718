import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Logger, pino } from 'pino';
import type { Test } from 'tap';
import { seeded } from '../../export/data/random.js';
import { createModel } from '../../export/model/create.js';
import { networkParameters } from '../../export/model/graphs.js';
import { buildNetwork } from '../../export/networks/index.js';
import { type Config, readConfig } from '../../src/common/config.js';
import { createAdmission } from '../../src/engine/admission.js';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import type { SpawnWorker } from '../../src/engine/replica.js';
import { buildApp } from '../../src/http/app.js';
import type { App } from '../../src/http/app-type.js';
import { createMetrics } from '../../src/observe/metrics.js';
import { randomParameters } from './graph.js';

export interface TestService {
  readonly app: App;
  readonly engine: Engine;
}

/** Starts workers without the module loaders of the test runner, which double the time of a start. */
const spawn: SpawnWorker = (workerData) =>
  new Worker(new URL('../../src/engine/worker.js', import.meta.url), { workerData, execArgv: [] });

/** The service on an engine of its own with real models. It does not listen, and ends with the test. */
export async function service(
  t: Test,
  settings: Partial<Config> = {},
  metrics = createMetrics(),
): Promise<TestService> {
  const config = { ...readConfig({}, {}), threads: 2, ...settings };
  const engine = await openEngine(config, { observer: metrics.observer, spawn });
  const app = await buildApp(config, engine, pino({ level: 'silent' }), metrics);
  t.teardown(async () => {
    await app.close();
    await engine.close();
  });
  await engine.ready;
  return { app, engine };
}

/**
 * The service on an engine that tests share, with limits and a queue of its own. Settings of the workers and of the models
 * have no effect. It does not listen, and ends with the test.
 */
export async function appOn(
  t: Test,
  engine: Engine,
  settings: Partial<Config> = {},
  log: Logger = pino({ level: 'silent' }),
): Promise<TestService> {
  const config = { ...readConfig({}, {}), ...settings };
  const own = { ...engine, limits: config, admission: createAdmission(config.maxQueue) };
  const app = await buildApp(config, own, log);
  t.teardown(() => app.close());
  return { app, engine: own };
}

/** A network, and what its random weights are multiplied by. */
export interface RandomModel {
  readonly architecture?: string;
  readonly config: object;
  readonly scale?: number;
}

/** A folder with a model of random weights for each network; i-RevNets unless they say otherwise. */
export async function randomModels(t: Test, models: Readonly<Record<string, RandomModel>>): Promise<string> {
  const folder = t.testdir();
  for (const [name, { architecture = 'irevnet', config, scale = 1 }] of Object.entries(models)) {
    const specification = { architecture, config: { ...config } };
    const network = buildNetwork(specification);
    const weights = randomParameters(networkParameters(network), seeded(7));
    for (const [parameter, w] of weights) weights.set(parameter, { ...w, data: w.data.map((v) => scale * v) });
    await createModel(join(folder, name), {
      description: 'a model of random weights',
      ...specification,
      weights,
      labels: Array.from({ length: network.classes }, (_, i) => `class ${i}`),
      preprocessing: { fit: network.input.channels === 1 ? 'contain' : 'cover', polarity: 'any' },
      training: null,
    });
  }
  return folder;
}

export type Field = readonly [name: string, content: Uint8Array | string];

/** A form as the headers and payload of a request; bytes become files, strings stay texts. */
export async function form(...fields: readonly Field[]): Promise<{ headers: Record<string, string>; payload: Buffer }> {
  const data = new FormData();
  for (const [name, content] of fields) {
    if (typeof content === 'string') data.append(name, content);
    else data.append(name, new Blob([content as Uint8Array<ArrayBuffer>]), 'upload');
  }
  const response = new Response(data);
  const payload = Buffer.from(await response.arrayBuffer());
  return { headers: { 'content-type': response.headers.get('content-type')! }, payload };
}

/** One file as the whole body. */
export const raw = (payload: Uint8Array, type = 'application/octet-stream') => ({
  headers: { 'content-type': type },
  payload: Buffer.from(payload),
});

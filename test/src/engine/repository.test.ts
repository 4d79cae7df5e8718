import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { tensor } from '../../../export/graph/tensor.js';
import { readConfig } from '../../../src/common/config.js';
import { type Engine, modelOf, openEngine } from '../../../src/engine/engine.js';
import type { Report } from '../../../src/engine/protocol.js';
import type { SpawnWorker } from '../../../src/engine/replica.js';
import { randomModels } from '../../helpers/app.js';
import { mortal } from '../../helpers/mortal.js';
import { small } from '../../helpers/networks.js';

const original = await randomModels(t, { small: { config: small } });

async function put(models: string, name: string): Promise<void> {
  await cp(join(original, 'small'), join(models, name), { recursive: true });
  const path = join(models, name, 'manifest.json');
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), name }));
}

/** An engine over a folder of its own with the model `small`. */
async function open(t: Test, workers: number, spawn: SpawnWorker): Promise<{ models: string; engine: Engine }> {
  const models = t.testdir();
  await put(models, 'small');
  const settings = { models, model: 'small', workers, threads: 1, preload: 'forward' } as const;
  const engine = await openEngine({ ...readConfig({}, {}), ...settings }, { spawn });
  t.teardown(engine.close);
  await engine.ready;
  return { models, engine };
}

/** Resolves when all workers are up. */
async function recovered({ status }: Engine): Promise<void> {
  while (status().up < status().workers) await sleep(5);
}

const input = tensor('uint8', [1, 28, 28, 1], new Uint8Array(784));
const logits = async (engine: Engine, name: string) =>
  (await engine.run({ model: modelOf(engine, name), graph: 'forward', input, outputs: ['logits'] })).logits.dims;

t.test('a worker that dies while it loads a model does not take the others along', async (t) => {
  const { models, engine } = await open(t, 2, mortal(['dies']));
  await put(models, 'other');
  await t.rejects(engine.repository.load('other'), {
    code: 'load-failed',
    message: /a worker ended while it loaded the model/,
  });
  t.notOk(engine.models.has('other'));
  t.same(await logits(engine, 'small'), [1, 10], 'the other worker goes on');
  await recovered(engine);
  await engine.repository.load('other');
  t.same(await logits(engine, 'other'), [1, 10]);
});

t.test('a worker that is replaced has what was loaded since, and releases what is unloaded', async (t) => {
  const workers: Worker[] = [];
  const reports: string[] = [];
  const real = mortal([]);
  const { models, engine } = await open(t, 1, (settings) => {
    const worker = real(settings);
    worker.on('message', ({ kind, ...rest }: Report) => reports.push(`${kind} ${'model' in rest ? rest.model : ''}`));
    workers.push(worker);
    return worker;
  });
  await put(models, 'other');
  await engine.repository.load('other');
  await workers[0]!.terminate();
  await recovered(engine);
  t.same(await logits(engine, 'other'), [1, 10]);
  const leave = engine.repository.hold(modelOf(engine, 'other'));
  await engine.repository.unload('other');
  t.same(await logits(engine, 'small'), [1, 10]);
  leave();
  while (!reports.includes('unloaded other#2')) await sleep(5);
  t.same(reports, [
    'loaded small#1',
    'ready ',
    'loaded other#2',
    'loaded small#1',
    'loaded other#2',
    'ready ',
    'done ',
    'done ',
    'unloaded other#2',
  ]);
});

t.test('a worker whose model was replaced in the folder comes back once the model is loaded again', async (t) => {
  const workers: Worker[] = [];
  const real = mortal([]);
  const { models, engine } = await open(t, 1, (settings) => {
    workers.push(real(settings));
    return workers.at(-1)!;
  });
  await put(models, 'other');
  await engine.repository.load('other');
  await rm(join(models, 'other'), { recursive: true });
  await workers[0]!.terminate();
  while (workers.length < 3) await sleep(5);
  await t.rejects(engine.repository.load('other'), { code: 'unknown-model' });
  await engine.repository.unload('other');
  await recovered(engine);
  t.same(await logits(engine, 'small'), [1, 10]);
});

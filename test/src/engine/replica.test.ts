import { getEventListeners, once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism, constants, getPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { noiseImages } from '../../../export/data/noise.js';
import { rows } from '../../../export/graph/rows.js';
import { type Tensor, tensor } from '../../../export/graph/tensor.js';
import { readConfig } from '../../../src/common/config.js';
import type { Work } from '../../../src/common/work.js';
import type { Observer } from '../../../src/engine/backend.js';
import { type Engine, type EngineOptions, modelOf, openEngine } from '../../../src/engine/engine.js';
import { backOff } from '../../../src/engine/replica.js';
import { randomModels } from '../../helpers/app.js';
import { mortal } from '../../helpers/mortal.js';
import { small } from '../../helpers/networks.js';

// An engine with real worker threads, some of which die or hang. Its model is small: it is loaded by every worker.

const models = await randomModels(t, { small: { config: small } });
const config = { ...readConfig({}, {}), models, model: 'small', threads: 1 };

async function open(t: Test, settings = {}, options: EngineOptions = {}): Promise<Engine> {
  const engine = await openEngine({ ...config, preload: 'forward', ...settings }, options);
  t.teardown(engine.close);
  await engine.ready;
  return engine;
}

const noise = (count: number, seed: number): Tensor<'uint8'> => {
  const size = { height: 28, width: 28, channels: 1, mean: [0], std: [1] };
  return tensor('uint8', [count, 28, 28, 1], noiseImages(count, size, seed).pixels);
};

const encode = (engine: Engine, input: Tensor, work?: Work) =>
  engine.run({ model: modelOf(engine), graph: 'forward', input, outputs: ['features'], work });

/** Niceness of the threads of this process. */
async function niceness(): Promise<number[]> {
  const stats = (await readdir('/proc/self/task')).map((thread) => readFile(`/proc/self/task/${thread}/stat`, 'utf8'));
  return (await Promise.all(stats)).map((stat) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]));
}

t.test('an engine whose workers stay well', async (t) => {
  const reports: unknown[] = [];
  const tested: Observer['tested'] = (...report) => reports.push(report);
  const engine = await open(t, { workers: 2, threads: 2, maxBatch: 3, preload: 'both' }, { observer: { tested } });

  t.test('each worker reports its self-test, and that it computes the bits of the first', async (t) => {
    const found = { images: 4, exactPixels: 4, exactFloat: 4, features: /^[0-9a-f]{16}$/ };
    t.match(reports, [
      ['small', found, true],
      ['small', found, true],
    ]);
    t.equal(reports.length, 2);
  });

  const skip =
    process.platform !== 'linux' || getPriority() > 0 || availableParallelism() === 1
      ? 'threads have no priorities of their own here'
      : false;
  t.test(
    'workers and the threads of their sessions have a lower priority than the HTTP thread',
    { skip },
    async (t) => {
      const lower = (await niceness()).filter((nice) => nice === constants.priority.PRIORITY_BELOW_NORMAL);
      t.ok(lower.length >= 2 * 2, `${lower.length} threads, of two workers with two threads each`);
      t.equal(getPriority(), 0);
    },
  );

  t.test('jobs are split into tasks that share batches; each job gets its own rows', async (t) => {
    const sizes = [1, 7, 2, 3, 1];
    const results = await Promise.all(sizes.map((n, i) => encode(engine, noise(n, i))));
    for (const [i, n] of sizes.entries()) {
      const { features: input } = results[i]!;
      t.same(input.dims, [n, 256, 2, 2]);
      const { pixels } = await engine.run({ model: modelOf(engine), graph: 'inverse', input, outputs: ['pixels'] });
      t.same(pixels.data, noise(n, i).data, `job ${i}`);
    }
    const half = rows(noise(4, 9), 2, 4);
    await encode(engine, half);
    t.equal(half.data.length, 2 * 784, 'the buffer of the input is not transferred');
  });

  t.test('the tasks of an aborted job are dropped', async (t) => {
    const aborting = new AbortController();
    const { signal } = aborting;
    const dropped = encode(engine, noise(12, 3), { signal });
    t.equal(engine.status().waiting, 6, 'each worker has three');
    aborting.abort(new Error('gone'));
    await t.rejects(dropped, { message: 'gone' });
    t.equal(engine.status().waiting, 0);
    t.same(getEventListeners(signal, 'abort'), []);
    await t.rejects(encode(engine, noise(1, 3), { signal }), { message: 'gone' }, 'a job that was aborted before');
    t.same((await encode(engine, noise(2, 4))).features.dims, [2, 256, 2, 2], 'other jobs are run');
  });

  t.test('a job that a graph does not take fails alone', async (t) => {
    const wrong = tensor('uint8', [1, 5, 5, 1], new Uint8Array(25));
    await t.rejects(encode(engine, wrong), { message: /shape|dimension/i });
    t.same((await encode(engine, noise(1, 1))).features.dims, [1, 256, 2, 2]);
  });
});

/** Resolves when all workers are up again. */
async function recovered(engine: Engine): Promise<void> {
  while (engine.status().up < engine.status().workers) await sleep(5);
}

for (const [fate, settings] of Object.entries({ dies: {}, hangs: { hangTimeout: 1 } })) {
  t.test(`a worker that ${fate} is replaced, and its tasks are run by another`, async (t) => {
    const lost: string[] = [];
    const observer: Observer = { lost: (why) => lost.push(why) };
    const engine = await open(t, { workers: 2, maxBatch: 1, ...settings }, { spawn: mortal([fate]), observer });
    const seeds = [1, 2, 3, 4, 5, 6];
    const results = await Promise.all(seeds.map((seed) => encode(engine, noise(1, seed))));
    t.same(lost, [fate === 'dies' ? 'died' : 'hung']);
    await recovered(engine);
    t.match(engine.status(), { started: true, up: 2, waiting: 0, hung: fate === 'dies' ? 0 : 1 });
    const again = await Promise.all(seeds.map((seed) => encode(engine, noise(1, seed))));
    for (const [i, { features }] of results.entries()) t.same(features.data, again[i]!.features.data, `job ${i}`);
  });
}

t.test('a job over which two workers die fails, and no other job with it', async (t) => {
  const engine = await open(t, { workers: 1 }, { spawn: mortal(['dies', 'dies']) });
  const [first, ...others] = await Promise.allSettled([1, 2, 3].map((seed) => encode(engine, noise(1, seed))));
  t.match(first, { status: 'rejected', reason: { code: 'worker-lost' } });
  for (const other of others) t.match(other, { status: 'fulfilled' });
});

t.test('closing does not wait for a worker that hangs', async (t) => {
  const engine = await open(t, { workers: 1, hangTimeout: 1 }, { spawn: mortal(['hangs']) });
  void encode(engine, noise(1, 1));
  await engine.close();
  t.equal(engine.status().hung, 1);
});

t.test('a worker that does not start again is tried again, ever more slowly', async (t) => {
  const started: Promise<unknown>[] = [];
  const spawn = mortal(['dies', 'stays down', 'stays down']);
  const engine = await open(
    t,
    { workers: 1 },
    {
      spawn(settings) {
        const worker: Worker = spawn(settings);
        started.push(once(worker, 'exit'));
        return worker;
      },
    },
  );
  const waiting = encode(engine, noise(1, 1));
  await started[0];
  t.match(engine.status(), { up: 0, started: true }, 'jobs may wait meanwhile');
  t.same((await waiting).features.dims, [1, 256, 2, 2]);
  t.equal(started.length, 4);
  t.same(
    [0, 1, 2, 3, 20].map((failures) => backOff(failures)),
    [0, 100, 200, 400, 30_000],
  );
});

t.test('closing at once, while models load, ends the threads in order', async (t) => {
  const engine = await openEngine(config);
  await engine.close();
  t.notOk(engine.status().started);
});

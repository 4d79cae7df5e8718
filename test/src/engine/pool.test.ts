import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism, constants, getPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { noiseImages } from '../../../export/data/noise.js';
import { joined, rows } from '../../../export/graph/rows.js';
import { type Tensor, tensor } from '../../../export/graph/tensor.js';
import type { Manifest } from '../../../export/model/manifest.js';
import { readConfig } from '../../../src/common/config.js';
import { Canceller, type Work } from '../../../src/common/work.js';
import { createAdmission } from '../../../src/engine/admission.js';
import { arrange, coresOf } from '../../../src/engine/arrange.js';
import { batchLimit } from '../../../src/engine/batch-sizes.js';
import { createBatcher } from '../../../src/engine/batcher.js';
import { type Engine, type EngineOptions, openEngine } from '../../../src/engine/engine.js';
import type { Place } from '../../../src/engine/member.js';
import { createPool, type Observer } from '../../../src/engine/pool.js';
import { mortal } from '../../helpers/mortal.js';

const job = (lane: string, images: number, since: number, limit = 4) => ({ lane, images, limit, since });
type Job = ReturnType<typeof job>;
const times = (jobs: readonly Job[]) => jobs.map(({ since }) => since);

t.test('the batcher takes the oldest lane, in order, as many as fit', async (t) => {
  const batcher = createBatcher<Job>();
  t.same(batcher.take(0), [], 'nothing waits');
  batcher.add([job('a', 2, 1), job('b', 1, 2), job('a', 1, 3), job('a', 2, 4), job('a', 1, 5)]);
  t.equal(batcher.waiting(), 7);
  t.same(times(batcher.take(9)), [1, 3], 'the fourth does not fit, and is not overtaken');
  t.same(times(batcher.take(9)), [2]);
  t.same(times(batcher.take(9)), [4, 5]);
  t.same(times(batcher.take(9)), []);
  t.equal(batcher.waiting(), 0);
  batcher.add([job('a', 9, 6), job('a', 1, 7)]);
  t.same(times(batcher.take(9)), [6], 'a job above the limit runs alone');
});

t.test('the batcher forgets what is cancelled, once; what is put back comes first', async (t) => {
  const batcher = createBatcher<Job>();
  const jobs = [job('a', 4, 1), job('a', 1, 2), job('a', 1, 3)];
  batcher.add(jobs);
  const first = batcher.take(9);
  for (const gone of [jobs[1]!, jobs[1]!, first[0]!]) batcher.cancel(gone);
  t.equal(batcher.waiting(), 1);
  batcher.putBack(first);
  t.equal(batcher.waiting(), 5);
  t.same(times(batcher.take(9)), [1]);
  t.same(times(batcher.take(9)), [3]);
});

t.test('with a delay, a batch is given when it is full or its time has come', async (t) => {
  const batcher = createBatcher<Job>(10);
  t.equal(batcher.due(), undefined);
  batcher.add([job('a', 2, 100), job('b', 1, 101)]);
  t.same(batcher.take(105), []);
  t.equal(batcher.due(), 110);
  batcher.add([job('b', 3, 106)]);
  t.same(times(batcher.take(107)), [101, 106], 'a full lane does not wait for an older one');
  t.same(times(batcher.take(110)), [100]);
});

t.test('admission counts what is inside, and says when there should be room', async (t) => {
  let clock = 0;
  const admission = createAdmission(4, () => clock);
  const out = admission.enter(6);
  t.equal(admission.inside(), 6, 'an empty house takes anyone');
  t.match(admission.lack(), { code: 'overloaded', retryAfter: 1 });
  clock = 2000;
  out();
  out();
  t.equal(admission.inside(), 0);
  t.equal(admission.lack(), undefined);
  const outs = [1, 1, 1, 1].map((n) => admission.enter(n));
  t.throws(() => admission.enter(1), {
    code: 'overloaded',
    message: '4 images are under way, and 1 more do not fit into 4',
  });
  const lack = admission.lack();
  t.equal(admission.lack(), lack, 'nothing is new while nobody comes or goes');
  clock = 3000;
  outs[0]!();
  t.throws(() => admission.enter(2), { code: 'overloaded', retryAfter: 1 }, 'seven images in two seconds');
  clock = 63_000;
  outs[1]!();
  t.throws(() => admission.enter(3), { code: 'overloaded', retryAfter: 20 }, 'two inside, one gone in ten seconds');
  admission.enter(2);
  t.match(admission.lack(), { retryAfter: 40 }, 'four inside now');
});

t.test('workers and threads follow the aim, the cores and the memory', async (t) => {
  const bytes = 100e6;
  const files = { 'weights.bin': { bytes }, 'inverse.onnx': {} };
  const models = [{ folder: '', manifest: { files } as unknown as Manifest }];
  const chosen = (optimize: 'throughput' | 'latency', cores: number, memory = 64e9, workers = 0, threads = 0) =>
    arrange({ optimize, workers, threads }, models, { cores, memory });
  t.same(chosen('throughput', 2), { workers: 2, threads: 1 });
  t.same(chosen('latency', 2), { workers: 1, threads: 2 });
  t.same(chosen('throughput', 32), { workers: 8, threads: 4 });
  t.same(chosen('throughput', 4, 2e9), { workers: 2, threads: 2 }, 'memory for two');
  t.same(chosen('throughput', 4, 1e8), { workers: 1, threads: 4 }, 'there is always one');
  t.same(chosen('throughput', 4, 64e9, 3, 5), { workers: 3, threads: 5 }, 'what is given is taken');
  t.same(['', 'max 100000', '50000 100000', '150000 100000', '400000 100000\n'].map(coresOf), [
    Infinity,
    Infinity,
    1,
    1,
    4,
  ]);
  const input = (size: number) => ({ input: { height: size, width: size, channels: 3 as const, mean: [0], std: [1] } });
  t.same(
    [28, 32, 64, 224, 299].map((size) => batchLimit(0, input(size))),
    [16, 16, 16, 4, 2],
  );
  t.equal(batchLimit(7, input(224)), 7);
});

const open = async (t: Test, settings = {}, options: EngineOptions = {}): Promise<Engine> => {
  const engine = await openEngine({ ...readConfig({}, {}), threads: 1, ...settings }, options);
  t.teardown(engine.close);
  return engine;
};

const noise = (count: number, seed: number): Tensor<'uint8'> => {
  const size = { height: 28, width: 28, channels: 1, mean: [0], std: [1] };
  return tensor('uint8', [count, 28, 28, 1], noiseImages(count, size, seed).pixels);
};

const encode = (engine: Engine, input: Tensor, work?: Work) =>
  engine.run({ model: engine.defaultModel, graph: 'forward', input, outputs: ['features'], work });

t.test('rows that lie one after the other are joined where they are, others in a copy', async (t) => {
  const whole = tensor('float32', [4, 2], [9, 9, 1, 2, 3, 4, 5, 6]);
  const [b, c, d] = [1, 2, 3].map((i) => rows(whole, i, i + 1)) as [typeof whole, typeof whole, typeof whole];
  const inPlace = joined([b, c, d]);
  t.same([inPlace.dims, ...inPlace.data], [[3, 2], 1, 2, 3, 4, 5, 6]);
  t.equal(inPlace.data.buffer, whole.data.buffer);
  const copied = joined([d, b]);
  t.same([copied.dims, ...copied.data], [[2, 2], 5, 6, 1, 2]);
  t.not(copied.data.buffer, whole.data.buffer);
});

t.test('jobs are split, mixed and joined; each gets its own rows', async (t) => {
  const engine = await open(t, { workers: 2, maxBatch: 3 });
  await engine.ready;
  const sizes = [1, 7, 2, 3, 1];
  const results = await Promise.all(sizes.map((n, i) => encode(engine, noise(n, i))));
  for (const [i, n] of sizes.entries()) {
    const { features } = results[i]!;
    t.same(features.dims, [n, 256, 2, 2]);
    const input = tensor('float32', features.dims, features.data.slice());
    const { pixels } = await engine.run({ model: engine.defaultModel, graph: 'inverse', input, outputs: ['pixels'] });
    t.same(pixels.data, noise(n, i).data, `job ${i}`);
  }
  const half = rows(noise(4, 9), 2, 4);
  await encode(engine, half);
  t.equal(half.data.length, 2 * 784, 'a shared buffer is not given away');
});

/** Threads of this process by their niceness. */
async function niceness(): Promise<number[]> {
  const stats = (await readdir('/proc/self/task')).map((thread) => readFile(`/proc/self/task/${thread}/stat`, 'utf8'));
  return (await Promise.all(stats)).map((stat) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]));
}

const skip =
  process.platform !== 'linux' || getPriority() > 0 || availableParallelism() === 1
    ? 'threads have no priorities of their own here'
    : false;
t.test('workers and their threads give way to the others of the process', { skip }, async (t) => {
  const engine = await open(t, { workers: 2, threads: 2 });
  await engine.ready;
  const giveWay = (await niceness()).filter((nice) => nice === constants.priority.PRIORITY_BELOW_NORMAL);
  t.ok(giveWay.length >= 2 * 2, `${giveWay.length} of two workers with two threads each`);
  t.equal(getPriority(), 0, 'the thread that answers does not');
});

t.test('each worker tells of its round trip, and whether it computes the bits of the first', async (t) => {
  const told: [string, object, boolean][] = [];
  const tested: Observer['tested'] = (...found) => told.push(found);
  const engine = await open(t, { workers: 2 }, { observer: { tested } });
  await engine.ready;
  const found = { images: 4, exactPixels: 4, exactFloat: 4, features: /^[0-9a-f]{16}$/ };
  t.match(told, [
    ['fashion-mnist', found, true],
    ['fashion-mnist', found, true],
  ]);

  const seen: boolean[] = [];
  const odd =
    (digit: string): Place =>
    (to) => {
      setImmediate(() => to.tested('m', { images: 4, exactPixels: 4, exactFloat: 4, features: digit }));
      return { isFree: () => false, isUp: () => false, run() {}, close: async () => undefined, hung: () => 0 };
    };
  const places = ['a', 'b', 'a'].map(odd);
  createPool(
    { places, needed: 3, limits: new Map(), divisible: true, maxDelay: 0 },
    { tested: (_m, _f, alike) => seen.push(alike) },
  );
  while (seen.length < 3) await sleep(1);
  t.same(seen, [true, false, true]);
});

t.test('whoever is free leaves the others their share, unless batches should be full', async (t) => {
  /** Sizes of the batches that a dozen images make, which come while both workers are busy with one each. */
  const sizes = async (divisible: boolean, maxDelay = 0): Promise<number[]> => {
    const seen: number[] = [];
    const ends: (() => void)[] = [];
    const place: Place = (to) => {
      let free = true;
      return {
        isFree: () => free,
        isUp: () => true,
        run({ input }) {
          const count = input.dims[0]!;
          free = false;
          seen.push(count);
          ends.push(() => {
            const logits = tensor('float32', [count, 1], new Float32Array(count));
            free = true;
            to.done({ kind: 'done', outputs: { logits } });
            to.free();
          });
        },
        close: async () => undefined,
        hung: () => 0,
      };
    };
    const limits = new Map([['m', 64]]);
    const pool = createPool({ places: [place, place], needed: 2, limits, divisible, maxDelay });
    const one = () => pool.run({ model: 'm', graph: 'forward', input: noise(1, 1), outputs: ['logits'] });
    // However long it takes, all of them come at once.
    let now = performance.now();
    const clock = t.intercept(performance, 'now', { value: () => now });
    const answers = Array.from({ length: 14 }, one);
    now += maxDelay;
    await sleep(2 * maxDelay);
    for (let end = ends.shift(); end; end = ends.shift()) {
      end();
      await sleep(2 * maxDelay);
    }
    await Promise.all(answers);
    clock.restore();
    return seen;
  };
  t.same(await sizes(true), [1, 1, 5, 4, 3]);
  t.same(await sizes(false), [1, 1, 12]);
  t.same(await sizes(true, 5), [14], 'who is to wait for more takes it');
});

t.test('what is abandoned is dropped', async (t) => {
  const engine = await open(t, { maxBatch: 1 });
  const cancellation = new Canceller();
  const dropped = encode(engine, noise(3, 3), { cancellation });
  cancellation.cancel(new Error('gone'));
  await t.rejects(dropped, { message: 'gone' });
  t.equal(engine.status().waiting, 0);
  await t.rejects(encode(engine, noise(1, 3), { cancellation }), { message: 'gone' });
  t.same((await encode(engine, noise(2, 4))).features.dims, [2, 256, 2, 2], 'and the rest goes on');
});

t.test('a worker that dies or hangs is replaced, and its jobs are done by another', async (t) => {
  for (const [fate, settings] of Object.entries({ dies: {}, hangs: { hangTimeout: 1 } })) {
    const lost: string[] = [];
    const spawn = mortal([fate]);
    const engine = await open(
      t,
      { workers: 2, maxBatch: 1, ...settings },
      { spawn, observer: { lost: (why) => lost.push(why) } },
    );
    await engine.ready;
    const results = await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => encode(engine, noise(1, seed))));
    const again = await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => encode(engine, noise(1, seed))));
    for (const [i, { features }] of results.entries())
      t.same(features.data, again[i]!.features.data, `${fate}: job ${i}`);
    t.same(lost, [fate === 'dies' ? 'died' : 'hung']);
    while (engine.status().up < 2) await sleep(20);
    t.match(engine.status(), { started: true, up: 2, waiting: 0, hung: fate === 'dies' ? 0 : 1 });
  }
});

t.test('a job over which two workers die is given up, and takes no other along', async (t) => {
  const engine = await open(t, { workers: 1 }, { spawn: mortal(['dies', 'dies']) });
  await engine.ready;
  const [first, ...others] = await Promise.allSettled([
    encode(engine, noise(1, 1)),
    encode(engine, noise(1, 2)),
    encode(engine, noise(1, 3)),
  ]);
  t.match(first, { status: 'rejected', reason: { code: 'worker-lost' } });
  for (const other of others) t.match(other, { status: 'fulfilled' });
});

t.test('closing does not wait for a worker that hangs', async (t) => {
  const engine = await open(t, { workers: 1, hangTimeout: 1 }, { spawn: mortal(['hangs']) });
  await engine.ready;
  void encode(engine, noise(1, 1));
  await engine.close();
  t.equal(engine.status().hung, 1);
});

t.test('a worker that does not come up again is tried again, ever more slowly', async (t) => {
  const engine = await open(t, { workers: 1 }, { spawn: mortal(['dies', 'stays down', 'stays down']) });
  await engine.ready;
  const waiting = encode(engine, noise(1, 1));
  while (engine.status().up > 0) await sleep(5);
  t.ok(engine.status().started, 'requests may wait');
  t.same((await waiting).features.dims, [1, 256, 2, 2]);
});

t.test('a job that a graph does not take fails alone', async (t) => {
  const engine = await open(t);
  await t.rejects(encode(engine, tensor('uint8', [1, 5, 5, 1], new Uint8Array(25))), { message: /shape|dimension/i });
  t.same((await encode(engine, noise(1, 1))).features.dims, [1, 256, 2, 2]);
});

t.test('closing at once, while models load, ends the threads in order', async (t) => {
  const engine = await openEngine(readConfig({}, {}));
  await engine.close();
  t.notOk(engine.status().started);
});

import t, { type Test } from 'tap';
import { noiseImages } from '../../export/model/noise.js';
import { type Tensor, tensor } from '../../export/tensor.js';
import { readConfig } from '../../src/config.js';
import { createBatcher } from '../../src/inference/batcher.js';
import { type Engine, openEngine } from '../../src/inference/engine.js';
import { rows } from '../../src/inference/rows.js';

const job = (lane: string, images: number, name = '') => ({ lane, images, name });

t.test('the batcher takes the oldest lane, in order, as many as fit', async (t) => {
  const batcher = createBatcher<ReturnType<typeof job>>({ maxBatch: 4, maxQueue: 10 });
  t.same(batcher.take(), [], 'nothing waits');
  batcher.offer([job('a', 2, '1'), job('b', 1, '2'), job('a', 1, '3'), job('a', 2, '4'), job('a', 1, '5')]);
  t.equal(batcher.waiting(), 7);
  const names = () => batcher.take().map(({ name }) => name);
  t.same(names(), ['1', '3'], 'the fourth does not fit, and is not overtaken');
  t.same(names(), ['2']);
  t.same(names(), ['4', '5']);
  t.same(names(), []);
  t.equal(batcher.waiting(), 0);
});

t.test('the batcher refuses what does not fit in the queue, as a whole', async (t) => {
  const batcher = createBatcher<ReturnType<typeof job>>({ maxBatch: 4, maxQueue: 5 });
  t.ok(batcher.offer([job('a', 4), job('a', 4)]), 'an empty queue takes any job');
  t.notOk(batcher.offer([job('b', 1)]));
  const [first] = batcher.take();
  const late = job('b', 1);
  t.ok(batcher.offer([late]));
  batcher.cancel(late);
  batcher.cancel(late);
  batcher.cancel(first!);
  t.equal(batcher.waiting(), 4);
});

const open = async (t: Test, settings = {}): Promise<Engine> => {
  const engine = await openEngine({ ...readConfig({}, {}), threads: 1, ...settings });
  t.teardown(engine.close);
  return engine;
};

const noise = (count: number, seed: number): Tensor<'uint8'> => {
  const size = { height: 28, width: 28, channels: 1, mean: [0], std: [1] };
  return tensor('uint8', [count, 28, 28, 1], noiseImages(count, size, seed).pixels);
};

const encode = (engine: Engine, input: Tensor, signal?: AbortSignal) =>
  engine.run({ model: engine.defaultModel, graph: 'forward', input, outputs: ['features'], signal });

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

t.test('too much at once is refused; what is abandoned is dropped', async (t) => {
  const engine = await open(t, { maxBatch: 1, maxQueue: 4 });
  const first = encode(engine, noise(6, 1));
  await t.rejects(encode(engine, noise(1, 2)), { name: 'Problem', code: 'overloaded' });
  t.same((await first).features.dims, [6, 256, 2, 2]);
  const gone = new AbortController();
  const dropped = encode(engine, noise(3, 3), gone.signal);
  gone.abort(new Error('gone'));
  await t.rejects(dropped, { message: 'gone' });
  await t.rejects(encode(engine, noise(1, 3), gone.signal), { message: 'gone' });
  t.same((await encode(engine, noise(2, 4))).features.dims, [2, 256, 2, 2], 'and the rest goes on');
});

t.test('a job that a graph does not take fails alone', async (t) => {
  const engine = await open(t);
  await t.rejects(encode(engine, tensor('uint8', [1, 5, 5, 1], new Uint8Array(25))), { message: /shape|dimension/i });
  t.same((await encode(engine, noise(1, 1))).features.dims, [1, 256, 2, 2]);
});

t.test('closing at once, while models load, ends the threads in order', async (t) => {
  const engine = await openEngine(readConfig({}, {}));
  await engine.close();
  t.notOk(engine.isReady());
});

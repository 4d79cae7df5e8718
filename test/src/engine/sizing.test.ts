import t from 'tap';
import type { ModelSource } from '../../../export/model/models-folder.js';
import {
  arrangeOnCores,
  arrangeOnGpus,
  batchSizes,
  bucketsOf,
  coresOf,
  gainfulBatch,
  lackOfMemory,
} from '../../../src/engine/sizing.js';

const manifestOf = (manifest: object) => ({ folder: '', manifest }) as unknown as ModelSource;

t.test('workers and threads follow the aim, the cores and the memory', async (t) => {
  const models = [manifestOf({ files: { 'weights.bin': { bytes: 100e6 }, 'inverse.onnx': {} } })];
  const chosen = (optimize: 'throughput' | 'latency', cores: number, memory = 64e9, workers = 0, threads = 0) =>
    arrangeOnCores({ optimize, workers, threads }, models, { cores, memory });
  t.same(chosen('throughput', 2), { workers: 2, threads: 1 });
  t.same(chosen('latency', 2), { workers: 1, threads: 2 });
  t.same(chosen('throughput', 32), { workers: 8, threads: 4 });
  t.same(chosen('throughput', 4, 2e9), { workers: 2, threads: 2 }, 'memory for two');
  t.same(chosen('throughput', 4, 1e8), { workers: 1, threads: 4 }, 'there is always one');
  t.same(chosen('throughput', 4, 64e9, 3, 5), { workers: 3, threads: 5 }, 'given numbers are taken');
  const onGpus = (optimize: 'throughput' | 'latency', workers = 0) =>
    arrangeOnGpus({ optimize, workers, threads: 0 }, 2);
  t.same(onGpus('throughput'), { workers: 4, threads: 1 });
  t.same(onGpus('latency'), { workers: 2, threads: 1 });
  t.same(onGpus('latency', 5), { workers: 5, threads: 1 });
});

t.test('a model whose weights alone are larger than the memory that is left does not fit', async (t) => {
  const { manifest } = manifestOf({ files: { 'weights.bin': { bytes: 100 * 2 ** 20 }, 'inverse.onnx': {} } });
  const memory = 1000 * 2 ** 20;
  t.equal(lackOfMemory(manifest, 2, { memory }, 600 * 2 ** 20), undefined);
  t.match(lackOfMemory(manifest, 2, { memory }, 601 * 2 ** 20), /take 400 MiB in 2 workers, and 399 MiB of memory are/);
});

t.test('cores follow the quota of a control group', async (t) => {
  const quotas = ['', 'max 100000', '50000 100000', '150000 100000', '400000 100000\n'];
  t.same(quotas.map(coresOf), [Infinity, Infinity, 1, 1, 4]);
});

t.test('sizes of batches follow the settings, the model and the provider', async (t) => {
  const input = (size: number) => ({ input: { height: size, width: size, channels: 3 as const, mean: [0], std: [1] } });
  t.same(
    [28, 32, 64, 224, 299].map((size) => gainfulBatch(input(size), 'cpu')),
    [16, 16, 16, 4, 2],
  );
  const sizes = (maxBatch: number, batchBuckets: string, provider: 'cpu' | 'cuda') =>
    [28, 224].map((size) => {
      const { limit, buckets } = batchSizes({ maxBatch, batchBuckets }, input(size), provider);
      return [limit, buckets];
    });
  t.same(sizes(0, '', 'cpu'), [
    [16, []],
    [4, []],
  ]);
  t.same(sizes(0, '', 'cuda'), [
    [64, [1, 8, 64]],
    [32, [1, 8, 32]],
  ]);
  t.same(sizes(0, '1,16', 'cpu'), [
    [16, [1, 16]],
    [4, [1, 4]],
  ]);
  t.same(sizes(7, '', 'cuda'), [
    [7, [1, 7]],
    [7, [1, 7]],
  ]);
  t.same(bucketsOf([], 64), []);
  t.same(bucketsOf([64, 8, 1, 8], 64), [1, 8, 64]);
  t.same(bucketsOf([1, 8, 64], 32), [1, 8, 32]);
});

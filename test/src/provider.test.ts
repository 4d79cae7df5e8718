import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { nativeFolder } from '../../export/cuda.js';
import { noiseImages } from '../../export/model/noise.js';
import { tensor } from '../../export/tensor.js';
import { readConfig } from '../../src/config.js';
import { batchSizes } from '../../src/inference/batch-sizes.js';
import { bucketFor, bucketsOf, padded } from '../../src/inference/buckets.js';
import { openEngine } from '../../src/inference/engine.js';
import type { ModelSource } from '../../src/inference/protocol.js';
import { chooseProvider } from '../../src/inference/provider.js';
import { service } from '../helpers/app.js';
import { cli } from '../helpers/cli.js';

const cuda = existsSync(join(nativeFolder(), 'libonnxruntime_providers_cuda.so')) && 'CUDA is installed here';

t.test('without CUDA, a service that is to use it does not start, and says why', { skip: cuda }, async (t) => {
  const { code, stdout, stderr } = await cli('serve', '--port', '0', '--execution-provider', 'cuda');
  t.equal(code, 23);
  t.match(stderr, /irevnet: CUDA does not work on GPU 0: libonnxruntime_providers_cuda\.so is not installed/);
  t.notMatch(stdout, /ready/);
  await t.rejects(openEngine({ ...readConfig({}, {}), executionProvider: 'cuda' }), { message: /or choose/ });
});

t.test('left to choose, it takes the CPU and tells everywhere', { skip: cuda }, async (t) => {
  t.match(await chooseProvider('auto', [0]), { provider: 'cpu', because: /is not installed/ });
  t.same(await chooseProvider('cpu', [0]), { provider: 'cpu' });
  const { app, engine } = await service(t, { executionProvider: 'auto' });
  t.match(engine.backend, { kind: 'cpu', arrangement: { because: /is not installed/ } });
  t.equal((await app.inject('/readyz')).json().provider, 'cpu');
  t.match((await app.inject('/metrics')).body, 'irevnet_execution_provider_info{provider="cpu",device=""} 1');
});

t.test('batches are padded up to buckets, and cut back', async (t) => {
  t.same(bucketsOf([], 64), []);
  t.same(bucketsOf([64, 8, 1, 8], 64), [1, 8, 64]);
  t.same(bucketsOf([1, 8, 64], 32), [1, 8, 32]);
  t.same(
    [1, 2, 8, 9, 65].map((images) => bucketFor([1, 8, 64], images)),
    [1, 8, 8, 64, 65],
  );
  const seen: number[][] = [];
  const run = padded(
    {
      async run({ x }) {
        seen.push([...x!.dims, ...(x!.data as Float32Array)]);
        return { y: x! };
      },
    },
    [4],
  );
  const x = tensor('float32', [2, 2], [1, 2, 3, 4]);
  t.same((await run({ x })).y, x);
  t.same(seen, [[4, 2, 1, 2, 3, 4, 3, 4, 3, 4]], 'the last row is repeated');
});

t.test('sizes of batches follow what is given, the model and what computes', async (t) => {
  const input = (size: number) => ({ name: `m${size}`, input: { height: size, width: size } });
  const models = [28, 224].map((size) => ({ manifest: input(size) }) as unknown as ModelSource);
  const sizes = (maxBatch: number, batchBuckets: string, provider: 'cpu' | 'cuda') => {
    const { limits, buckets } = batchSizes({ maxBatch, batchBuckets }, models, provider);
    return [...limits].map(([name, limit]) => [limit, buckets.get(name)]);
  };
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
});

t.test('a service with buckets gives the same bytes', async (t) => {
  const size = { height: 28, width: 28, channels: 1, mean: [0], std: [1] };
  const input = tensor('uint8', [11, 28, 28, 1], noiseImages(11, size, 5).pixels);
  const found = [];
  for (const batchBuckets of ['', '3,8']) {
    const { engine } = await service(t, { batchBuckets, workers: 1 });
    const { features } = await engine.run({ model: 'fashion-mnist', graph: 'forward', input, outputs: ['features'] });
    found.push(features);
  }
  t.same(found[1], found[0]);
});

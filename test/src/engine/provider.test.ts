import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { noiseImages } from '../../../export/data/noise.js';
import { tensor } from '../../../export/graph/tensor.js';
import { nativeFolder } from '../../../export/runtime/cuda.js';
import type { Session } from '../../../export/runtime/session.js';
import { readConfig } from '../../../src/common/config.js';
import { batchSizes } from '../../../src/engine/batch-sizes.js';
import { bucketFor, bucketsOf, padded } from '../../../src/engine/buckets.js';
import { openBySize } from '../../../src/engine/by-size.js';
import { openEngine } from '../../../src/engine/engine.js';
import type { ModelSource } from '../../../src/engine/protocol.js';
import { chooseProvider, reasonIn } from '../../../src/engine/provider.js';
import { service } from '../../helpers/app.js';
import { cli } from '../../helpers/cli.js';

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

t.test('where CUDA does not work, what it answered is told, not the line of code that asked', async (t) => {
  const call =
    '/onnxruntime_src/cuda_call.cc:146 std::conditional_t<THRW, void, Status> CudaCall(ERRTYPE, const char*)';
  const answer =
    'CUDA failure 101: invalid device ordinal ; GPU=0 ; hostname=vm ; expr=cudaSetDevice(info_.device_id); .';
  t.equal(reasonIn(new Error(`${call} ${answer}`)), 'CUDA failure 101: invalid device ordinal');
  t.equal(
    reasonIn(new Error('CUDNN failure 3: CUDNN_STATUS_BAD_PARAM ; GPU=0')),
    'CUDNN failure 3: CUDNN_STATUS_BAD_PARAM',
  );
  t.equal(reasonIn(new Error('It ran elsewhere.\nat once')), 'It ran elsewhere');
});

t.test('each size of batch has a session of its own', async (t) => {
  const log: string[] = [];
  const open = async (images: number) => {
    if (images > 8) throw new Error('out of memory');
    const run = async () => log.push(`${images} runs`);
    const release = async () => log.push(`${images} is released`);
    return { run, release } as object as Session;
  };
  const opened = await openBySize([1, 8], open);
  const images = (count: number) => ({ x: tensor('float32', [count, 1], new Float32Array(count)) });
  for (const count of [8, 1, 8]) await opened.run(images(count));
  await t.rejects(opened.run(images(3)), { message: 'a batch of 3 images, where one of 1, 8 was expected' });
  await opened.release();
  t.same(log, ['8 runs', '1 runs', '8 runs', '1 is released', '8 is released']);
  await t.rejects(openBySize([1, 64], open), { message: 'out of memory' });
  t.same(log.slice(5), ['1 is released'], 'none is left open');
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

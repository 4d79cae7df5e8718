import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { noiseImages } from '../../../export/data/noise.js';
import { tensor } from '../../../export/graph/tensor.js';
import { nativeFolder } from '../../../export/runtime/cuda.js';
import { readConfig } from '../../../src/common/config.js';
import { explainExit } from '../../../src/common/exit-codes.js';
import { modelOf, openEngine } from '../../../src/engine/engine.js';
import { chooseProvider } from '../../../src/engine/local.js';
import { service } from '../../helpers/app.js';

const cuda = existsSync(join(nativeFolder(), 'libonnxruntime_providers_cuda.so')) && 'CUDA is installed here';

t.test('without CUDA, a service that is to use it does not start, and says why', { skip: cuda }, async (t) => {
  const error = await openEngine({ ...readConfig({}, {}), executionProvider: 'cuda' }).catch((e: Error) => e);
  t.match(explainExit(error as Error), {
    code: 23,
    message: /^CUDA does not work on GPU 0: libonnxruntime_providers_cuda\.so is not installed .* or choose/,
  });
});

t.test('left to choose, a service takes the CPU and says so', { skip: cuda }, async (t) => {
  t.match(await chooseProvider('auto', [0]), { provider: 'cpu', because: /is not installed/ });
  t.same(await chooseProvider('cpu', [0]), { provider: 'cpu' });
  const { app, engine } = await service(t, { executionProvider: 'auto', workers: 1 });
  t.match(engine.backend, { kind: 'cpu', arrangement: { because: /is not installed/ } });
  t.equal((await app.inject('/readyz')).json().provider, 'cpu');
  t.match((await app.inject('/metrics')).body, 'irevnet_execution_provider_info{provider="cpu",device=""} 1');
});

t.test('with buckets, a service computes the same bytes', async (t) => {
  const size = { height: 28, width: 28, channels: 1, mean: [0], std: [1] };
  const input = tensor('uint8', [11, 28, 28, 1], noiseImages(11, size, 5).pixels);
  const found = [];
  for (const batchBuckets of ['', '3,8']) {
    const { engine } = await service(t, { batchBuckets, workers: 1 });
    const { features } = await engine.run({ model: modelOf(engine), graph: 'forward', input, outputs: ['features'] });
    found.push(features);
  }
  t.same(found[1], found[0]);
});

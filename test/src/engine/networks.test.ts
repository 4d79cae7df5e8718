import t from 'tap';
import { readNpy, writeNpy } from '../../../export/formats/npy.js';
import { sizeOf, tensor } from '../../../export/graph/tensor.js';
import { readConfig } from '../../../src/common/config.js';
import { openEngine } from '../../../src/engine/engine.js';
import { form, randomModels, raw, service } from '../../helpers/app.js';
import { rectangle } from '../../helpers/images.js';
import { miniature, small } from '../../helpers/networks.js';

const photograph = await rectangle(90, 70, [250, 250, 240], [30, 60, 90]).png().toBuffer();
const zeros = (shape: readonly number[]) =>
  Buffer.concat(writeNpy(tensor('float32', [1, ...shape], new Float32Array(sizeOf(shape)))));

t.test('networks that are not invertible are served, and say so where an inverse is needed', async (t) => {
  const models = await randomModels(t, {
    resnet: { architecture: 'resnet', config: miniature.resnet },
    revnet: { architecture: 'revnet', config: miniature.revnet },
    irevnet: { config: miniature.irevnet },
  });
  const { app, engine } = await service(t, { models, model: 'irevnet' });
  for (const name of ['resnet', 'revnet']) {
    const shape = engine.models.get(name)!.features.shape;
    t.notOk('inverse.onnx' in engine.models.get(name)!.files);
    const classified = await app.inject({ method: 'POST', url: `/classify?model=${name}`, ...raw(photograph) });
    t.equal(classified.json().predictions[0].top.length, 5);
    const encoded = await app.inject({ method: 'POST', url: `/encode?model=${name}`, ...raw(photograph) });
    t.same(readNpy(encoded.rawPayload).dims, [1, ...shape]);
    const decoded = await app.inject({ method: 'POST', url: `/decode?model=${name}`, ...raw(encoded.rawPayload) });
    t.match(decoded.json(), { status: 422, code: 'not-invertible', detail: /invertible here: irevnet/ });
    const upload = await form(['a', photograph], ['b', photograph]);
    const blended = await app.inject({ method: 'POST', url: `/interpolate?model=${name}`, ...upload });
    t.match(blended.json(), { status: 422, code: 'not-invertible' });
  }
  const back = await app.inject({
    method: 'POST',
    url: '/decode',
    ...raw(zeros(engine.models.get('irevnet')!.features.shape)),
  });
  t.equal(back.statusCode, 200, 'the others are');
});

t.test('an inverse that fails its self-test is not served', async (t) => {
  const models = await randomModels(t, { wild: { config: { ...small, grid: null }, scale: 8 } });
  const settings = { models, model: 'wild' };
  const strict = await openEngine({ ...readConfig({}, {}), ...settings, threads: 1, preload: 'both' });
  t.teardown(strict.close);
  await t.rejects(strict.ready, /model wild recovers only \d of 4 noise images/);
  const { app, engine } = await service(t, { ...settings, preload: 'forward' });
  const features = zeros(engine.models.get('wild')!.features.shape);
  for (const attempt of [1, 2]) {
    const decoded = await app.inject({ method: 'POST', url: '/decode', ...raw(features) });
    t.match(
      decoded.json(),
      { status: 503, code: 'inverse-untrusted', detail: /wild recovers only/ },
      `attempt ${attempt}`,
    );
  }
  const upload = await rectangle(28, 28, [0], [200]).png().toBuffer();
  const classified = await app.inject({ method: 'POST', url: '/classify', ...raw(upload) });
  t.equal(classified.statusCode, 200, 'Φ is served all the same');
});

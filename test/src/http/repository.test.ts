import { cp, mkdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { readNpy, writeNpy } from '../../../export/formats/npy.js';
import { tensor } from '../../../export/graph/tensor.js';
import { deferred } from '../../../src/common/deferred.js';
import { modelOf } from '../../../src/engine/engine.js';
import type { App } from '../../../src/http/app-type.js';
import { appOn, form, randomModels, raw, service } from '../../helpers/app.js';
import { rectangle } from '../../helpers/images.js';
import { miniature, small, variants } from '../../helpers/networks.js';
import { infer, pixelsInput } from '../../helpers/oip.js';

const png = await rectangle(28, 28, [0], [200]).png().toBuffer();
const colour = variants['colour, initial ψ 4']!;
/** Models to copy from. */
const originals = await randomModels(t, {
  small: { config: small },
  other: { config: { ...small, grid: 11 } },
  third: { config: { ...small, grid: 10 } },
  colour: { config: colour },
  resnet: { architecture: 'resnet', config: miniature.resnet },
  wild: { config: { ...small, grid: null }, scale: 8 },
});

/** Puts a copy of a model into a folder under a name, in place of what has the name. */
const put = async (models: string, name: string, from = name) => {
  const fresh = join(models, `${name}.tmp`);
  await cp(join(originals, from), fresh, { recursive: true });
  const path = join(fresh, 'manifest.json');
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), name }));
  await rm(join(models, name), { recursive: true, force: true });
  await rename(fresh, join(models, name));
};

const explicit = { model: 'small', threads: 1, modelControlMode: 'explicit' } as const;

const post = (app: App, url: string, body?: object) =>
  app.inject({ method: 'POST', url, ...(body && { payload: JSON.stringify(body) }) });
const control = (app: App, name: string, what: 'load' | 'unload', body?: object) =>
  post(app, `/v2/repository/models/${name}/${what}`, body);
const index = async (app: App, body?: object) => (await post(app, '/v2/repository/index', body)).json();
const encode = (app: App, name: string) =>
  app.inject({ method: 'POST', url: `/encode?model=${name}`, ...raw(png, 'image/png') });

t.test('a service whose models come and go', async (t) => {
  const models = t.testdir();
  await put(models, 'small');
  const { app, engine } = await service(t, { ...explicit, models, workers: 2 });

  t.test('a model that is put into the folder is loaded, renewed and unloaded', async (t) => {
    t.same(await index(app), [
      { name: 'small', version: '1', state: 'READY', reason: '' },
      { name: 'small-inverse', version: '1', state: 'READY', reason: '' },
    ]);
    const before = await encode(app, 'other');
    t.match(before.json(), { status: 404, code: 'unknown-model', detail: /SIGHUP, or by POST \/v2\/repository/ });
    await put(models, 'other');
    t.match((await index(app))[0], { name: 'other', state: 'UNAVAILABLE', reason: 'not loaded' });
    t.equal((await index(app, { ready: true })).length, 2);

    t.match(await control(app, 'other', 'load'), { statusCode: 200, json: Function });
    t.equal((await app.inject('/v2/models/other/ready')).statusCode, 200);
    const encoded = await encode(app, 'other');
    t.same(readNpy(encoded.rawPayload).dims, [1, 256, 2, 2]);
    const back = await app.inject({ method: 'POST', url: '/decode?model=other', ...raw(encoded.rawPayload) });
    t.equal(back.statusCode, 200);
    const { other } = Object.fromEntries(engine.models);
    t.equal((await control(app, 'other', 'load', {})).statusCode, 200);
    t.equal(engine.models.get('other'), other, 'what has not changed stays as it is');

    await put(models, 'other', 'colour');
    t.equal((await encode(app, 'other')).statusCode, 200, 'the older edition is served until it is loaded again');
    t.same((await control(app, 'other', 'load')).json(), { name: 'other', ready: true });
    t.same(readNpy((await encode(app, 'other')).rawPayload).dims, [1, 192, 3, 2]);
    t.match((await app.inject('/v2/models/other')).json(), { inputs: [{ shape: [-1, 24, 16, 3] }] });

    t.same((await control(app, 'other', 'unload')).json(), { name: 'other', ready: false });
    t.match((await encode(app, 'other')).json(), { status: 404, code: 'unknown-model' });
    t.equal((await app.inject('/v2/models/other')).statusCode, 404);
    t.match((await index(app))[0], { name: 'other', state: 'UNAVAILABLE', reason: 'not loaded' });
    t.same((await app.inject('/readyz')).json(), { status: 'ready', provider: 'cpu', unavailable: [] });
  });

  t.test('a request keeps the edition that it began with', async (t) => {
    await put(models, 'other');
    await engine.repository.load('other');
    const old = modelOf(engine, 'other');
    const going = deferred<void>();
    let begun = 0;
    // Requests whose images are read, and that compute only when they are let go.
    const run: typeof engine.run = async (job) => {
      begun++;
      await going.promise;
      return engine.run(job);
    };
    const { app: slow } = await appOn(t, { ...engine, run });
    const frames = await form(['a', png], ['b', png]);
    const body = { inputs: [{ ...pixelsInput(1), data: Array<number>(784).fill(7) }], outputs: [{ name: 'features' }] };
    const replies = [
      encode(slow, 'other'),
      slow.inject({ method: 'POST', url: '/interpolate?model=other&steps=2&format=npy', ...frames }),
      infer(slow, 'other', { body }),
    ];
    while (begun < replies.length) await sleep(1);

    await put(models, 'other', 'colour');
    // Others come all the while: none fails.
    let loaded = false;
    const load = control(app, 'other', 'load').then(() => {
      loaded = true;
    });
    while (!loaded) t.match(await encode(app, 'other'), { statusCode: 200 });
    await load;
    t.same(readNpy((await encode(app, 'other')).rawPayload).dims, [1, 192, 3, 2]);

    going.resolve();
    const [encoded, interpolated, inferred] = await Promise.all(replies);
    t.same(readNpy(encoded!.rawPayload).dims, [1, 256, 2, 2]);
    t.same(readNpy(interpolated!.rawPayload).dims, [2, 1, 28, 28]);
    t.match(inferred!.json(), { outputs: [{ shape: [1, 256, 2, 2] }] });
    const input = tensor('uint8', [1, 28, 28, 1], new Uint8Array(784));
    const late = engine.run({ model: old, graph: 'forward', input, outputs: ['logits'] });
    await t.rejects(late, /other was released/);
  });

  t.test('two loads of a model at once load it once', async (t) => {
    await put(models, 'other', 'third');
    const editions = await Promise.all(
      [1, 2, 3].map(async () => {
        t.match(await control(app, 'other', 'load'), { statusCode: 200 });
        return modelOf(engine, 'other');
      }),
    );
    t.equal(new Set(editions).size, 1);
    t.match(await encode(app, 'other'), { statusCode: 200 });
  });

  t.test('a model that cannot be loaded is refused, and its older edition stays', async (t) => {
    await put(models, 'other', 'colour');
    await truncate(join(models, 'other', 'weights.bin'), 5);
    const reply = await control(app, 'other', 'load');
    t.equal(reply.statusCode, 422);
    t.match(reply.json().error, /^Model other: other\/weights\.bin has 5 bytes, .* before goes on being served/);
    t.notMatch(reply.body, models, 'where the folder lies is not told');
    t.same(readNpy((await encode(app, 'other')).rawPayload).dims, [1, 256, 2, 2]);
    t.same((await app.inject('/readyz')).json().unavailable, []);

    await put(models, 'wild');
    const untrusted = await control(app, 'wild', 'load');
    t.match(untrusted.json(), { error: /wild recovers only \d of 4 noise images/ }, 'Φ⁻¹ is tested first');
    t.match((await encode(app, 'wild')).json(), {
      status: 503,
      code: 'model-unavailable',
      detail: /wild cannot be served: .*recovers only/,
    });
    const found = (await index(app)).find((m: { name: string }) => m.name === 'wild');
    t.match(found, { state: 'UNAVAILABLE', reason: /recovers only/ });
    for (const name of ['nothing', 'small-inverse', '..%2Fsmall', 'SMALL']) {
      const wrong = await control(app, name, 'load');
      t.equal(wrong.statusCode, 404, name);
      if (name === 'small-inverse') t.match(wrong.json().error, /loaded and unloaded with small/);
    }
    t.match(await control(app, 'small', 'unload'), { statusCode: 409 });
    t.match(await control(app, 'nothing', 'unload'), { statusCode: 404 });
    t.match((await control(app, 'other', 'load', { parameters: { config: '{}' } })).json().error, /config is not supp/);
    t.match(await post(app, '/v2/repository/index', { ready: 1 }), { statusCode: 400 });
    t.equal((await control(app, 'other', 'unload', { parameters: { unload_dependents: true } })).statusCode, 200);
  });

  t.test('clients may load and unload models only where the settings say so', async (t) => {
    const { app } = await appOn(t, engine, { modelControlMode: 'none' });
    for (const what of ['load', 'unload'] as const) {
      const reply = await control(app, 'other', what);
      t.equal(reply.statusCode, 403);
      t.match(reply.json().error, /--model-control-mode explicit, or send its process SIGHUP/);
    }
    t.equal((await index(app)).length, 4, 'the index is for all');
  });

  t.test('refresh serves what the folder holds', async (t) => {
    await put(models, 'other');
    await engine.repository.load('other');
    await put(models, 'other', 'colour');
    await put(models, 'resnet');
    await rm(join(models, 'wild'), { recursive: true });
    await mkdir(join(models, 'empty'));
    await mkdir(join(models, 'lost+found'));
    await rm(join(models, 'small'), { recursive: true });
    await engine.repository.refresh();
    t.same([...engine.models.keys()].sort(), ['other', 'resnet', 'small'], 'the default model stays');
    t.same(engine.models.get('other')!.features.shape, [192, 3, 2]);
    t.match([...engine.repository.unavailable], [['empty', /^empty\/manifest\.json cannot be read \(ENOENT\)/]]);
    t.same((await app.inject('/readyz')).json().unavailable, ['empty']);
    for (const name of ['other', 'small']) t.equal((await encode(app, name)).statusCode, 200);
    await rm(join(models, 'other'), { recursive: true });
    await rm(join(models, 'empty'), { recursive: true });
    await engine.repository.refresh();
    t.same([...engine.models.keys()].sort(), ['resnet', 'small']);
    t.same([...engine.repository.unavailable], []);
    await rm(models, { recursive: true });
    await t.rejects(engine.repository.refresh(), { message: /cannot be read \(ENOENT\)/ });
    t.equal((await encode(app, 'small')).statusCode, 200);
  });
});

t.test('models that cannot be used do not keep the service from serving the others', async (t) => {
  const damaged: Record<string, (folder: string) => Promise<unknown>> = {
    cut: (folder) => truncate(join(folder, 'weights.bin'), 1000),
    // Its hash is right, so that only a worker finds out.
    graphless: async (folder) => {
      const path = join(folder, 'manifest.json');
      const manifest = JSON.parse(await readFile(path, 'utf8'));
      await cp(join(folder, 'inverse.onnx'), join(folder, 'forward.onnx'));
      manifest.files['forward.onnx'] = manifest.files['inverse.onnx'];
      await writeFile(path, JSON.stringify(manifest));
    },
  };
  const models = t.testdir();
  for (const name of ['small', 'wild']) await put(models, name);
  for (const [name, damage] of Object.entries(damaged)) {
    await put(models, name, 'other');
    await damage(join(models, name));
  }
  const { app, engine } = await service(t, { models, model: 'small', workers: 2, threads: 1 });
  t.same((await app.inject('/readyz')).json().unavailable.sort(), ['cut', 'graphless', 'wild']);
  const { models: listed, unavailable } = (await app.inject('/models')).json();
  t.same(
    listed.map(({ name }: { name: string }) => name),
    ['small'],
  );
  t.match(Object.fromEntries(unavailable.map((m: { name: string; reason: string }) => [m.name, m.reason])), {
    cut: /^cut\/weights\.bin has 1000 bytes/,
    graphless: /^graphless\/forward\.onnx makes pixels, image of features/,
    wild: /recovers only/,
  });
  t.equal((await encode(app, 'small')).statusCode, 200);
  for (const name of ['cut', 'graphless', 'wild'])
    t.match((await encode(app, name)).json(), { status: 503, code: 'model-unavailable' });
  t.match((await app.inject('/v2/models/cut')).json(), { error: /cut cannot be served: cut\/weights\.bin/ });
  t.match((await app.inject('/metrics')).body, 'irevnet_models{state="unavailable"} 3');
  t.equal(engine.status().up, 2);
});

t.test('what was replaced in the folder is not mixed with what is loaded', async (t) => {
  const models = t.testdir();
  for (const name of ['small', 'other']) await put(models, name);
  const { app } = await service(t, { ...explicit, models, preload: 'forward', workers: 1 });
  await put(models, 'other', 'third');
  const features = Buffer.concat(writeNpy(tensor('float32', [1, 256, 2, 2], new Float32Array(1024))));
  const reply = await app.inject({ method: 'POST', url: '/decode?model=other', ...raw(features) });
  t.match(reply.json(), { status: 503, code: 'model-unavailable', detail: /was replaced since .*; load it again/ });
  t.equal((await control(app, 'other', 'load')).statusCode, 200);
  const again = await app.inject({ method: 'POST', url: '/decode?model=other', ...raw(features) });
  t.equal(again.statusCode, 200);
});

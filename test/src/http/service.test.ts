import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import t from 'tap';
import { packagePath } from '../../../export/files/package.js';
import { readTensor } from '../../../export/formats/read.js';
import { appOn, form, randomModels, raw, service } from '../../helpers/app.js';
import { greyPixels, pngOf, rectangle } from '../../helpers/images.js';
import { dataPath, someImages, variants } from '../../helpers/networks.js';

const { engine } = await service(t);
const images = await someImages('test');
const png = (i: number) => pngOf(images, i);

t.test('decode of encode gives the identical pixels, in every format', async (t) => {
  const { app } = await appOn(t, engine);
  for (let i = 0; i < 50; i++) {
    const format = ['npy', 'safetensors', 'json'][i % 3];
    const original = await png(i);
    const url = `/encode?format=${format}`;
    const encoded = await app.inject({ method: 'POST', url, ...raw(original, 'image/png') });
    t.equal(Number(encoded.headers['content-length']), encoded.rawPayload.length);
    const decoded = await app.inject({
      method: 'POST',
      url: i % 2 ? '/decode' : '/invert',
      ...raw(encoded.rawPayload),
    });
    t.match(decoded, { statusCode: 200, headers: { 'content-type': 'image/png' } });
    t.ok((await greyPixels(decoded.rawPayload)).equals(await greyPixels(original)), `image ${i} as ${format}`);
  }
});

t.test('a batch equals its images one by one, whatever it is split into', async (t) => {
  const { app } = await service(t, { maxBatch: 3 });
  const files = await Promise.all(Array.from({ length: 8 }, (_, i) => png(i)));
  const together = await app.inject({
    method: 'POST',
    url: '/encode',
    ...(await form(...files.map((f) => ['file', f] as const))),
  });
  t.equal(together.headers['irevnet-shape'], '8,256,2,2');
  const { data } = readTensor(together.rawPayload);
  const alone = await Promise.all(
    files.map((f) => app.inject({ method: 'POST', url: '/encode', ...raw(f, 'image/png') })),
  );
  t.same(data, Float32Array.from(alone.flatMap((reply) => Array.from(readTensor(reply.rawPayload).data))));
  const back = await app.inject({ method: 'POST', url: '/decode?format=json', ...raw(together.rawPayload) });
  t.same(back.json().pixels.data, Array.from(images.pixels.subarray(0, 8 * 784)));
  const floats = await app.inject({ method: 'POST', url: '/decode', ...raw(together.rawPayload) });
  t.equal(floats.headers['content-type'], 'application/x-npy', 'several images are an array by default');
  t.same(readTensor(floats.rawPayload).dims, [8, 1, 28, 28]);
});

t.test('classify answers in order, and says what was done', async (t) => {
  const { app } = await appOn(t, engine);
  const photo = await rectangle(300, 200, [250, 250, 250], [10, 20, 90]).jpeg().toBuffer();
  const upload = await form(['file', await png(0)], ['file', photo], ['file', await png(1)]);
  const { model, predictions } = (await app.inject({ method: 'POST', url: '/classify?topK=10', ...upload })).json();
  t.equal(model, 'fashion-mnist');
  t.same(predictions[0].image, { source: { type: 'png', width: 28, height: 28 }, done: [] });
  t.same(predictions[1].image, {
    source: { type: 'jpeg', width: 300, height: 200 },
    done: ['resized', 'greyed', 'inverted', 'padded'],
  });
  for (const { top } of predictions) {
    const probabilities = top.map((score: { probability: number }) => score.probability);
    t.same(
      probabilities,
      [...probabilities].sort((a, b) => b - a),
    );
    t.ok(Math.abs(probabilities.reduce((a: number, b: number) => a + b) - 1) < 1e-9);
  }
  const alone = await app.inject({ method: 'POST', url: '/classify', ...raw(await png(1), 'image/png') });
  t.same(alone.json().predictions[0].top[0].index, predictions[2].top[0].index);
  t.equal(alone.json().predictions[0].top.length, 5);
});

t.test('an interpolation begins and ends with the uploads', async (t) => {
  const { app } = await appOn(t, engine);
  const upload = await form(['a', await png(2)], ['b', await png(3)]);
  const strip = await app.inject({ method: 'POST', url: '/interpolate?steps=5', ...upload });
  const { data, info } = await sharp(strip.rawPayload).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
  t.match(info, { width: 5 * 28, height: 28 });
  const frame = (n: number) =>
    Uint8Array.from({ length: 784 }, (_, i) => data[Math.floor(i / 28) * 140 + n * 28 + (i % 28)]!);
  t.same(frame(0), images.pixels.subarray(2 * 784, 3 * 784));
  t.same(frame(4), images.pixels.subarray(3 * 784, 4 * 784));
  const gif = await app.inject({ method: 'POST', url: '/interpolate?steps=5&format=gif', ...upload });
  const frames = await sharp(gif.rawPayload, { animated: true })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  t.match(frames.info, { pages: 5, pageHeight: 28 });
  const shown = frames.data.filter((_, i) => i % frames.info.channels === 0);
  for (let n = 0; n < 5; n++)
    t.same(Uint8Array.from(shown.subarray(n * 784, (n + 1) * 784)), frame(n), `frame ${n} of the GIF`);
  const npy = await app.inject({
    method: 'POST',
    url: '/interpolate',
    headers: { ...upload.headers, accept: 'application/x-npy' },
    payload: upload.payload,
  });
  t.same(readTensor(npy.rawPayload).dims, [8, 1, 28, 28]);
});

t.test('a colour model: its own size comes back exactly, others are cropped', async (t) => {
  const models = await randomModels(t, { colour: { config: variants['colour, initial ψ 4']! } });
  const { app } = await service(t, { models, model: 'colour' });
  const noise = Uint8Array.from({ length: 24 * 16 * 3 }, (_, i) => (i * 7919) % 256);
  const file = await sharp(noise, { raw: { width: 16, height: 24, channels: 3 } })
    .png()
    .toBuffer();
  const encoded = await app.inject({ method: 'POST', url: '/encode', ...raw(file, 'image/png') });
  const decoded = await app.inject({ method: 'POST', url: '/decode', ...raw(encoded.rawPayload) });
  t.same(Uint8Array.from(await sharp(decoded.rawPayload).raw().toBuffer()), noise);
  const wide = await rectangle(100, 60, [9, 200, 9], [200, 9, 9]).png().toBuffer();
  const cropped = await app.inject({ method: 'POST', url: '/classify', ...raw(wide, 'image/png') });
  t.same(cropped.json().predictions[0].image.done, ['resized', 'cropped']);
});

t.test('what can be served, health, version, documents', async (t) => {
  const { app } = await appOn(t, engine);
  const manifest = JSON.parse(await readFile(packagePath('onnx', 'fashion-mnist', 'manifest.json'), 'utf8'));
  const list = (await app.inject('/models')).json();
  t.equal(list.default, 'fashion-mnist');
  t.same(
    list.models.find((m: { name: string }) => m.name === 'fashion-mnist'),
    manifest,
    'nothing is lost on the way',
  );
  t.same((await app.inject('/models/fashion-mnist')).json(), manifest);
  t.same((await app.inject('/healthz')).json(), { status: 'ok' });
  t.same((await app.inject('/readyz')).json(), { status: 'ready', provider: 'cpu', unavailable: [] });
  t.match((await app.inject('/version')).json(), { name: 'irevnet', version: /^\d+\.\d+\.\d+/ });
  const page = await app.inject('/docs/');
  t.match(page, { statusCode: 200, headers: { 'content-type': /html/ } });
  t.notMatch(page.payload, /(src|href)="https?:/, 'the reference needs no network');
  t.match((await app.inject('/docs/yaml')).payload, /^openapi: 3\.1\.0/);
  t.equal((await app.inject('/healthz')).headers['x-request-id']?.toString().length, 36);
  const loading = await appOn(t, { ...engine, status: () => ({ ...engine.status(), started: false }) });
  const notReady = await loading.app.inject('/readyz');
  t.match(notReady, { statusCode: 503, headers: { 'retry-after': '1' } });
  t.equal(notReady.json().code, 'not-ready');
});

t.test('the format in the query wins over Accept, and Accept over the default', async (t) => {
  const { app } = await appOn(t, engine);
  const file = await readFile(dataPath('images', 'sneaker.png'));
  const type = async (query: string, accept?: string) => {
    const headers = { 'content-type': 'image/png', ...(accept && { accept }) };
    return (await app.inject({ method: 'POST', url: `/encode${query}`, headers, payload: file })).headers[
      'content-type'
    ];
  };
  t.equal(await type(''), 'application/x-npy');
  t.equal(await type('', '*/*'), 'application/x-npy');
  t.match(await type('', 'application/json'), /^application\/json/);
  t.equal(await type('', 'application/json;q=0.2, application/x-safetensors;q=0.9'), 'application/x-safetensors');
  t.equal(await type('', 'text/html, */*;q=0.1'), 'application/x-npy');
  t.equal(await type('', '*'), 'application/x-npy');
  t.match(await type('', 'application/json, text/html;q=0.5, */*;q=0.1'), /^application\/json/);
  t.match(await type('?format=json', 'application/x-npy'), /^application\/json/);
});

t.test('what a program accepts by default gets the default format', async (t) => {
  const { app } = await appOn(t, engine);
  const upload = await form(['a', await png(0)], ['b', await png(1)]);
  const type = async (accept: string) => {
    const headers = { ...upload.headers, accept };
    const reply = await app.inject({ method: 'POST', url: '/interpolate?steps=2', ...upload, headers });
    return reply.headers['content-type'];
  };
  const defaults = {
    'Java to 17': 'text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2',
    'Java from 18': 'text/html, image/gif, image/jpeg, */*; q=0.2',
    Chrome: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8',
    axios: 'application/json, text/plain, */*',
    curl: '*/*',
  };
  for (const [program, accept] of Object.entries(defaults)) t.equal(await type(accept), 'image/png', program);
  t.equal(await type('image/gif'), 'image/gif');
  t.equal(await type('text/html, image/gif'), 'image/gif', 'nothing else is taken');
  t.equal(await type('text/html, image/gif, */*;q=0'), 'image/gif');
  t.equal(await type('image/gif, */*;q=0.2'), 'image/gif');
});

t.test('a reply in a format has a file name; a page shows pictures and JSON, and saves the rest', async (t) => {
  const { app } = await appOn(t, engine);
  const disposition = async (url: string, upload: Awaited<ReturnType<typeof form>>) => {
    const reply = await app.inject({ method: 'POST', url, ...upload });
    t.equal(reply.statusCode, 200, url);
    return reply.headers['content-disposition'];
  };
  const picture = raw(await png(0), 'image/png');
  const features = raw((await app.inject({ method: 'POST', url: '/encode', ...picture })).rawPayload);
  const pair = await form(['a', await png(0)], ['b', await png(1)]);
  t.equal(await disposition('/encode', picture), 'attachment; filename="features.npy"');
  t.equal(await disposition('/encode?format=safetensors', picture), 'attachment; filename="features.safetensors"');
  t.equal(await disposition('/encode?format=json', picture), 'inline; filename="features.json"');
  t.equal(await disposition('/decode', features), 'inline; filename="image.png"');
  t.equal(await disposition('/invert?format=npy', features), 'attachment; filename="image.npy"');
  t.equal(await disposition('/interpolate?format=gif', pair), 'inline; filename="frames.gif"');
});

t.test('/ is the page, also behind a proxy that adds a path, and its files are kept for ever', async (t) => {
  const { app } = await appOn(t, engine);
  const { statusCode, headers, payload } = await app.inject('/');
  t.equal(statusCode, 200);
  t.match(headers, { 'content-type': /^text\/html/, 'cache-control': 'no-cache' });
  t.match(headers['content-security-policy'], /script-src 'self';style-src 'self';/);
  const [, script] = /<script type="module"[^>]* src="([^"]+)"/.exec(payload)!;
  t.equal(new URL(script!, 'http://proxy/irevnet/').pathname, `/irevnet/${script!.slice(2)}`);
  const asked = { url: new URL(script!, 'http://here/').pathname, headers: { 'accept-encoding': 'br' } };
  t.match((await app.inject(asked)).headers, { 'content-encoding': 'br', 'cache-control': /immutable/ });
  const { servers } = (await app.inject('/docs/json')).json();
  t.equal(new URL(servers[0].url, 'http://proxy/irevnet/docs/json').pathname, '/irevnet/');
});

import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import t from 'tap';
import { type Field, form, randomModels, raw, service } from '../../helpers/app.js';
import { dataPath, miniature, small } from '../../helpers/networks.js';

const models = await randomModels(t, {
  grid: { config: small },
  floats: { config: { ...small, grid: null } },
  resnet: { architecture: 'resnet', config: miniature.resnet },
});
const { app } = await service(t, { models, model: 'grid', workers: 1 });
const [sneaker, bag] = await Promise.all(['sneaker.png', 'bag.png'].map((name) => readFile(dataPath('images', name))));

t.test('POST /reconstruct: a row an image, and the error as numbers', async (t) => {
  const two = await form(['file', sneaker!], ['file', bag!]);
  const sheet = await app.inject({ method: 'POST', url: '/reconstruct', ...two });
  t.equal(sheet.statusCode, 200);
  t.equal(sheet.headers['content-type'], 'image/png');
  const { width, height } = await sharp(sheet.rawPayload).metadata();
  t.ok(width! >= 3 * 84 && height! > 2 * 84, `three tiles and two rows with captions: ${width} × ${height}`);
  const pixels = await sharp(sheet.rawPayload).toColourspace('b-w').raw().toBuffer();
  const at = (x: number, y: number) => pixels[y * width! + x];
  for (let y = 0; y < 84; y += 7)
    for (let x = 0; x < 84; x += 7) t.equal(at(x, y), at(x + 86, y), 'the image and what came back');
  t.equal(at(2 * 86 + 40, 40), 128, 'no difference is grey');
  const numbers = await app.inject({ method: 'POST', url: '/reconstruct?format=json', ...two });
  t.match(numbers.json(), {
    model: 'grid',
    images: [{ name: 'image 1', relativeError: 0, largest: 0, exactFloat: true, lostPixels: 0 }, { exactFloat: true }],
  });
});

t.test('on plain floats the residual is not nothing', async (t) => {
  const { images } = (
    await app.inject({ method: 'POST', url: '/reconstruct?format=json&model=floats', ...raw(sneaker!, 'image/png') })
  ).json();
  t.match(images[0], { exactFloat: false, lostPixels: 0 });
  t.ok(images[0].relativeError > 1e-9 && images[0].relativeError < 1e-5 && images[0].largest > 0);
});

t.test('a network without an inverse is refused', async (t) => {
  const response = await app.inject({
    method: 'POST',
    url: '/reconstruct?model=resnet',
    ...raw(sneaker!, 'image/png'),
  });
  t.match([response.statusCode, response.json().code], [422, 'not-invertible']);
});

t.test('POST /analyze: everything about one picture', async (t) => {
  const { statusCode, ...response } = await app.inject({ method: 'POST', url: '/analyze', ...raw(bag!, 'image/png') });
  t.equal(statusCode, 200);
  const body = response.json();
  t.match(body, { model: 'grid', inversion: { exactFloat: true, relativeError: 0 }, image: { done: [] } });
  t.equal(body.top.length, 5);
  t.equal(body.spectrum.values.length, 1024);
  t.ok(Math.abs(body.spectrum.sumOfLogs) < 1e-3);
  t.same(
    body.maps.map((map: { depth: number }) => map.depth),
    [0, 1, 2, 3, 4, 5, 6],
  );
});

t.test('of a network without an inverse, all but the inversion; of a large one, no spectrum', async (t) => {
  const response = await app.inject({ method: 'POST', url: '/analyze?model=resnet', ...raw(bag!, 'image/png') });
  t.match(response.json(), { model: 'resnet', inversion: null, spectrum: null, top: [{ index: Number }] });
  const unknown = await app.inject({ method: 'POST', url: '/analyze?model=none', ...raw(bag!, 'image/png') });
  t.match([unknown.statusCode, unknown.json().code], [404, 'unknown-model']);
});

t.test('POST /metamer: two pictures with the logits of the first', async (t) => {
  const two = await form(['a', sneaker!], ['b', bag!]);
  const { statusCode, ...response } = await app.inject({ method: 'POST', url: '/metamer', ...two });
  t.equal(statusCode, 200);
  const { a, b, moved, permuted, ...rest } = response.json();
  t.match(rest, { model: 'grid', images: [{ done: [] }, { done: [] }] });
  const furthest = (logits: number[]) => Math.max(...logits.map((v, i) => Math.abs(v - a.logits[i])));
  t.ok(furthest(b.logits) > 0.01, 'B has other logits');
  t.ok(furthest(moved.logits) <= 1e-3 && moved.difference <= 1e-3, `moved: ${moved.difference}`);
  t.ok(furthest(permuted.logits) < 1e-5, `permuted: ${permuted.difference}`);
  t.equal(furthest(moved.rounded.logits), moved.rounded.difference);
  t.equal(new Set([a, b, moved, permuted].map(({ picture }) => picture)).size, 4, 'four different pictures');
});

t.test('metamers need an inverse and two pictures', async (t) => {
  const post = async (url: string, ...fields: Field[]) =>
    (await app.inject({ method: 'POST', url, ...(await form(...fields)) })).json().code;
  t.equal(await post('/metamer?model=resnet', ['a', sneaker!], ['b', bag!]), 'not-invertible');
  t.equal(await post('/metamer', ['a', sneaker!]), 'missing-part');
  t.equal(await post('/metamer', ['a', sneaker!], ['b', Buffer.from('no picture')]), 'not-an-image');
});

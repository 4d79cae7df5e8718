import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { pino } from 'pino';
import t from 'tap';
import { packagePath } from '../../../export/files/package.js';
import { connect, readNpy, ServiceError, writeNpy } from '../../../src/client/index.js';
import { readConfig } from '../../../src/common/config.js';
import { buildApp } from '../../../src/http/app.js';
import type { App } from '../../../src/http/app-type.js';
import { service } from '../../helpers/app.js';
import { diagnosticsOf } from '../../helpers/compiler.js';
import { greyPixels } from '../../helpers/images.js';
import { dataPath } from '../../helpers/networks.js';
import { generatedTypes, operationOf, readOpenApi } from '../../helpers/openapi.js';

const { app, engine } = await service(t, { workers: 1, datasets: `clothes=${dataPath('fashion-mnist')}` });
const listen = (app: App): Promise<string> => app.listen({ host: '127.0.0.1', port: 0 });
const url = await listen(app);
const document = await readOpenApi();
const [sneaker, boot] = (await Promise.all(
  ['sneaker.png', 'ankle-boot.png'].map((name) => readFile(dataPath('images', name))),
)) as [Buffer, Buffer];

/** fetch, which also checks each request and reply against openapi.yaml. */
const checkedFetch: typeof fetch = async (input, init) => {
  const { method, headers, url } = new Request(input, init);
  const { path, operation } = operationOf(document, method, url);
  const parameters = (operation.parameters ?? [])
    .filter((parameter) => parameter.in === 'query')
    .map(({ name }) => name);
  for (const name of new URL(url).searchParams.keys())
    t.ok(parameters.includes(name), `${method} ${path} has the parameter ${name}`);
  const mediaType = (headers: Headers): string => headers.get('content-type')!.split(';')[0]!;
  if (method === 'POST')
    t.ok(operation.requestBody!.content[mediaType(headers)], `${path} takes ${mediaType(headers)}`);
  const response = await fetch(input, init);
  const { content } = operation.responses[response.ok ? response.status : 'default']!;
  t.ok(content[mediaType(response.headers)], `${path} replies ${mediaType(response.headers)}`);
  return response;
};
const client = connect(url, { fetch: checkedFetch });

t.test('classify takes bytes, files and several pictures', async (t) => {
  const one = await client.classify(sneaker, { topK: 2, invert: 'no', model: 'fashion-mnist' });
  t.match(one, { model: 'fashion-mnist', predictions: [{ top: [{ index: 7, label: 'Sneaker' }, { label: String }] }] });
  t.equal(one.predictions[0]!.top.length, 2);
  const several = await client.classify([
    new Blob([new Uint8Array(boot)]),
    new Uint8Array(sneaker),
    new Uint8Array(sneaker).buffer,
  ]);
  t.same(
    several.predictions.map(({ top }) => top[0]!.label),
    ['Ankle boot', 'Sneaker', 'Sneaker'],
  );
});

t.test('an analysis is started, followed to its end, and removed', async (t) => {
  const options = { limit: 2, spectrum: false, channels: 1 };
  const { id, state } = await client.startAnalysis({ experiment: 'image', data: 'clothes', options });
  t.match(state, /queued|running/);
  const states: string[] = [];
  for await (const told of client.followAnalysis(id)) states.push(told.state);
  t.equal(states.at(-1), 'done');
  t.match(await client.analysis(id), { id, options, result: { top: Array } });
  t.equal((await client.analysisFigure(id, { format: 'png' })).type, 'image/png');
  const { analyses, experiments, datasets } = await client.analyses();
  t.match(analyses, [{ id }]);
  t.ok(datasets.includes('clothes') && experiments.some(({ name }) => name === 'image'));
  t.match(await client.deleteAnalysis(id), { id, state: 'done' });
  await t.rejects(client.analysis(id), { name: 'ServiceError', code: 'unknown-analysis', status: 404 });
});

t.test('decode recovers what encode took, in every format', async (t) => {
  const features = await client.encode([sneaker, boot], { invert: 'auto' });
  t.match(features, { model: 'fashion-mnist', shape: [2, 256, 2, 2] });
  t.equal(features.data.length, 2 * 1024);
  const first = { model: features.model, shape: [1, 256, 2, 2], data: features.data.subarray(0, 1024) };
  const png = await client.decode(first);
  t.equal(png.type, 'image/png');
  t.same(await greyPixels(new Uint8Array(await png.arrayBuffer())), await greyPixels(sneaker));
  const json = await client.decode(features, { format: 'json' });
  t.same(json.pixels.shape, [2, 28, 28, 1]);
  t.same(json.pixels.data.slice(784), [...(await greyPixels(boot))]);
  const npy = await client.decode(features, { format: 'npy', model: 'fashion-mnist' });
  t.same(npy.shape, [2, 1, 28, 28]);
  t.same([...npy.data], json.image.data);
});

t.test('interpolate gives frames in every format', async (t) => {
  const frames = await client.interpolate(sneaker, boot, { format: 'npy', steps: 3 });
  t.same(frames.shape, [3, 1, 28, 28]);
  const json = await client.interpolate(sneaker, boot, { format: 'json', steps: 2, invert: 'no' });
  t.same(json.pixels.data, [...(await greyPixels(sneaker)), ...(await greyPixels(boot))]);
  t.equal((await client.interpolate(sneaker, boot)).type, 'image/png');
  t.equal((await client.interpolate(sneaker, boot, { format: 'gif' })).type, 'image/gif');
});

t.test('models, readiness and version', async (t) => {
  const { default: name, models } = await client.models();
  t.match(await client.model(name), { name, features: { shape: [256, 2, 2] } });
  t.same(
    await client.model(name),
    models.find((model) => model.name === name),
  );
  t.same(await client.ready(), { status: 'ready', provider: 'cpu', unavailable: [] });
  t.match(await client.version(), { name: 'irevnet', node: process.version });
});

t.test('the types are those of openapi.yaml', async (t) => {
  const replies = {
    Classification: 'classify',
    Recovered: 'decode',
    Models: 'listModels',
    Model: 'getModel',
    Readiness: 'getReadiness',
    Version: 'getVersion',
  };
  const options = {
    ClassifyOptions: 'classify',
    ImageOptions: 'encode',
    "DecodeOptions<'png' | 'npy' | 'json'>": 'decode',
    "InterpolateOptions<'png' | 'gif' | 'npy' | 'json'>": 'interpolate',
  };
  const lines = [
    `import type * as client from '../../../src/client/types.js';`,
    await generatedTypes(),
    `type Query<O extends keyof operations> = NonNullable<operations[O]['parameters']['query']>;`,
    ...Object.entries(replies).map(
      ([type, id]) =>
        `export const reply${type}: client.${type} = {} as operations['${id}']['responses'][200]['content']['application/json'];`,
    ),
    ...Object.entries(options).flatMap(([type, id], i) => [
      `export const options${i}: Query<'${id}'> = {} as client.${type};`,
      `export const names${i}: keyof Query<'${id}'> | 'signal' = '' as keyof client.${type};`,
    ]),
  ];
  const source = lines.join('\n');
  const found = diagnosticsOf(source, 'test', 'src', 'client', 'generated.ts');
  t.same(
    found.map(({ line, text }) => `${source.split('\n')[line]}: ${text}`),
    [],
  );
});

t.test('a refusal is a ServiceError', async (t) => {
  const refused = await client.classify(new Uint8Array(10)).catch((error: unknown) => error);
  t.type(refused, ServiceError);
  t.match(refused, { code: 'not-an-image', status: 400, detail: /\w/, requestId: /\w/, retryAfter: undefined });
  await t.rejects(client.model('none'), { code: 'unknown-model', status: 404 });
  await t.rejects(client.classify(sneaker, { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

t.test('an error without problem details, as a proxy sends it, is a ServiceError too', async (t) => {
  const headers = { 'retry-after': '3', 'x-request-id': 'abc' };
  const replies = [
    new Response('<h1>Busy</h1>', { status: 503, headers }),
    new Response('', { status: 502, statusText: 'Bad Gateway' }),
  ];
  const proxied = connect(url, { fetch: async () => replies.shift()! });
  await t.rejects(proxied.ready(), {
    code: 'http-503',
    status: 503,
    detail: '<h1>Busy</h1>',
    retryAfter: 3,
    requestId: 'abc',
  });
  await t.rejects(proxied.ready(), { code: 'http-502', detail: 'Bad Gateway', retryAfter: undefined });
});

t.test('the API key is sent, and the path of the address is kept', async (t) => {
  const key = 'a-key-of-some-length';
  const guarded = await buildApp({ ...readConfig({}, {}), apiKeys: key }, engine, pino({ level: 'silent' }));
  t.teardown(() => guarded.close());
  const address = await listen(guarded);
  await t.rejects(connect(address).models(), { code: 'unauthorized', status: 401 });
  t.match(await connect(`${address}//`, { apiKey: key }).models(), { default: 'fashion-mnist' });
  const addresses: string[] = [];
  const behind = connect(new URL('http://proxy.example/irevnet'), {
    fetch: async (input) => {
      addresses.push(`${input}`);
      return Response.json({});
    },
  });
  await behind.model('a/b');
  t.same(addresses, ['http://proxy.example/irevnet/models/a%2Fb']);
});

t.test('.npy files round-trip, and others are refused', (t) => {
  for (const shape of [[], [3], [2, 3], [1, 2, 3, 4]]) {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i - 0.5);
    const file = writeNpy({ shape, data });
    t.equal(file.length % 4, 0);
    // A view that does not begin at a multiple of four bytes.
    const shifted = new Uint8Array(file.length + 1);
    shifted.set(file, 1);
    t.same(readNpy(shifted.subarray(1)), { shape, data });
  }
  t.throws(() => writeNpy({ shape: [2], data: new Float32Array(3) }), {
    message: 'shape [2] takes 2 numbers; found 3',
  });
  const file = writeNpy({ shape: [2, 3], data: new Float32Array(6) });
  const replaced = (from: string, to: string) =>
    Uint8Array.from(Buffer.from(Buffer.from(file).toString('latin1').replace(from, to), 'latin1'));
  t.throws(() => readNpy(file.subarray(0, 5)), /not a .npy file/);
  t.throws(() => readNpy(file.subarray(0, -1)), /takes 6 numbers/);
  t.throws(() => readNpy(replaced('NUMPY', 'NUMPX')), /not a .npy file/);
  t.throws(() => readNpy(replaced('<f4', '<f8')), /expected float32/);
  t.throws(() => readNpy(replaced('False', 'True ')), /C order/);
  t.end();
});

t.test('the example of the docstring runs', async (t) => {
  const source = await readFile(packagePath('src', 'client', 'index.ts'), 'utf8');
  const [, block] = /```js\n([\s\S]*?) \* ```/.exec(source)!;
  const folder = t.testdir({ 'picture.png': sneaker });
  const example = block!
    .replace(/^ \* ?/gm, '')
    .replace('http://127.0.0.1:8080', url)
    .replace(/'(picture|back)\.png'/g, (_, name: string) => JSON.stringify(join(folder, `${name}.png`)));
  await writeFile(join(folder, 'example.mjs'), example);
  const logged = t.capture(console, 'log');
  await import(pathToFileURL(join(folder, 'example.mjs')).href);
  const [[labels], problem] = logged.args() as [[string[]], unknown[]];
  t.match(labels, [/^Sneaker 0\.\d{3}$/, /\w/, /\w/]);
  t.match(problem, [400, 'not-an-image', /\w/]);
  t.same(await greyPixels(await readFile(join(folder, 'back.png'))), await greyPixels(sneaker));
});

t.test('metamer gives two pictures with the logits of the first', async (t) => {
  const { model, a, b, moved, permuted } = await client.metamer(boot, sneaker, { invert: 'no' });
  t.match(
    [model, a.label, b.label, moved.label, permuted?.label],
    ['fashion-mnist', 'Ankle boot', 'Sneaker', 'Ankle boot', 'Ankle boot'],
  );
  t.ok(moved.difference <= 1e-3 && permuted!.difference < 1e-3);
  t.ok([a, b, moved, permuted!].every(({ picture }) => picture.startsWith('data:image/png;base64,')));
});

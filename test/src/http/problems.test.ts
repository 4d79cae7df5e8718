import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import t from 'tap';
import { writeNpy } from '../../../export/formats/npy.js';
import { type ProblemCode, problemCodes, problems } from '../../../src/common/problems.js';
import { appOn, form, raw, service } from '../../helpers/app.js';
import { rectangle } from '../../helpers/images.js';

type Request = {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: string;
  headers?: Record<string, string>;
  payload?: Buffer;
};

const { engine } = await service(t);
const grey = rectangle(28, 28, [0], [200]);
const png = await grey.clone().toColourspace('b-w').png().toBuffer();
const jpeg = await rectangle(200, 200, [255, 255, 255], [20, 40, 60]).jpeg().toBuffer();
const wide = await rectangle(120, 100, [255, 255, 255], [0, 0, 0]).png().toBuffer();
const damaged = Buffer.from(wide).fill(0x55, wide.indexOf('IDAT') + 6, wide.indexOf('IEND') - 8);
const firstPart = async (format: 'webp' | 'gif' | 'tiff' | 'avif') => {
  const file = await sharp(wide).toFormat(format).toBuffer();
  return file.subarray(0, Math.floor(file.length * 0.6));
};
const text = (s: string) => Buffer.from(s);
const json = (value: unknown) => raw(text(JSON.stringify(value)), 'application/json');

const gzipped = ({ headers, payload }: Awaited<ReturnType<typeof form>>, encoding = 'gzip') => ({
  headers: { ...headers, 'content-encoding': encoding },
  payload: gzipSync(payload),
});

const features = new Float32Array(1024);
const npy = (dims: number[], data = features) => Buffer.concat(writeNpy({ type: 'float32', dims, data }));
const good = npy([1, 256, 2, 2]);
const withValue = (value: number) =>
  npy(
    [1, 256, 2, 2],
    Float32Array.from(features, (_, i) => (i === 5 ? value : 0)),
  );
const retyped = (descr: string) => Buffer.from(good.toString('latin1').replace('<f4', descr), 'latin1');
/** A form with one part, in the field "file". */
const part = (disposition: string, content: string) => ({
  headers: { 'content-type': 'multipart/form-data; boundary=x' },
  payload: text(`--x\r\nContent-Disposition: form-data; name="file"; ${disposition}\r\n\r\n${content}\r\n--x--\r\n`),
});
const safetensors = (header: object, bytes: number) => {
  const head = text(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(head.length));
  return Buffer.concat([length, head, Buffer.alloc(bytes)]);
};

const classify = (upload: object, query = '') => ({ method: 'POST', url: `/classify${query}`, ...upload }) as Request;
const decode = (upload: object, query = '') => ({ method: 'POST', url: `/decode${query}`, ...upload }) as Request;
const analyse = (body: object) => ({ method: 'POST', url: '/analyses', ...json(body) }) as Request;
const blend = (upload: object, query = '') => ({ method: 'POST', url: `/interpolate${query}`, ...upload }) as Request;

/** For every code, requests that a client might well send, and that end in it. */
const requests: Partial<Record<ProblemCode, readonly Request[]>> = {
  'unknown-experiment': [analyse({ experiment: 'alchemy', data: 'x' }), analyse({ experiment: 'toString', data: 'x' })],
  'unknown-dataset': [analyse({ experiment: 'image', data: '/etc' }), analyse({ experiment: 'image', data: 'none' })],
  'option-invalid': [
    analyse({ experiment: 'image', data: 'x', options: { limit: 0 } }),
    analyse({ experiment: 'image', data: 'x', options: { limit: '10' } }),
    analyse({ experiment: 'image', data: 'x', options: { channels: 65 } }),
    analyse({ experiment: 'image', data: 'x', options: { models: '/etc' } }),
  ],
  'analysis-malformed': [
    { method: 'POST', url: '/analyses' },
    { method: 'POST', url: '/analyses', ...raw(text('{'), 'application/json') },
    analyse([]),
    analyse({ experiment: 'image' }),
    analyse({ experiment: 'image', data: 1 }),
    analyse({ experiment: 'image', data: 'x', folder: '/etc' }),
    analyse({ experiment: 'image', data: 'x', options: [] }),
  ],
  'unknown-analysis': [
    { url: '/analyses/0123456789abcdef' },
    { url: '/analyses/..%2f..%2fetc%2fpasswd' },
    { url: '/analyses/0/events' },
    { url: '/analyses/0/figure' },
    { method: 'DELETE', url: '/analyses/0' },
  ],
  'body-empty': [
    classify({}),
    classify(raw(text(''), 'image/png')),
    classify(await form(['file', text('')])),
    decode({}),
    decode(await form(['file', text('')])),
  ],
  'too-many-bytes': [classify(raw(Buffer.alloc(200_001)))],
  'too-many-parts': [
    classify(await form(['file', png], ['file', png], ['file', png], ['file', png])),
    decode(await form(['file', good], ['file', good])),
    blend(await form(['a', png], ['a', png])),
  ],
  'too-many-images': [decode(raw(npy([4, 256, 2, 2], new Float32Array(4096))))],
  'missing-part': [
    blend(await form(['a', png])),
    classify(await form(['file', 'sneaker.png'])),
    classify(part('x=y\r\nContent-Type: text/plain; charset=utf-8', 'sneaker.png')),
    classify({ headers: { 'content-type': 'multipart/form-data; boundary=x' }, payload: text('--x--\r\n') }),
  ],
  'wrong-field': [
    classify(await form(['image', png])),
    classify(await form(['file', png], ['model', 'fashion-mnist'])),
    blend(await form(['file', png], ['b', png])),
    classify(await form(['__proto__', png])),
    classify({
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
      payload: text('--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\nA\r\n--x--\r\n'),
    }),
  ],
  'multipart-malformed': [
    classify({ headers: { 'content-type': 'multipart/form-data; boundary=' }, payload: text('----\r\n\r\n') }),
    classify({ headers: { 'content-type': 'multipart/form-data' }, payload: text('x') }),
    classify({ headers: { 'content-type': 'multipart/form-data; boundary=x' }, payload: text('hello') }),
    classify(part('filename="a.png"\r\nContent-Transfer-Encoding: base64', png.toString('base64'))),
    classify(part('filename="a.png"\r\nContent-Transfer-Encoding: Quoted-Printable', '=89PNG')),
  ],
  'unsupported-media-type': [
    classify(json({ image: 'sneaker' })),
    classify(raw(png, 'nonsense')),
    decode(raw(good, 'image/png')),
    blend(raw(png, 'image/png')),
  ],
  'body-encoded': [
    classify(gzipped(raw(png, 'image/png'))),
    classify(gzipped(await form(['file', png]))),
    decode(gzipped(raw(good), 'br')),
    blend(gzipped(await form(['a', png], ['b', png]), 'identity, GZIP')),
  ],
  'not-acceptable': [
    { method: 'POST', url: '/encode', payload: png, headers: { 'content-type': 'image/png', accept: 'image/jpeg' } },
    { method: 'POST', url: '/encode', payload: png, headers: { 'content-type': 'image/png', accept: '*/*;q=0' } },
  ],
  'not-an-image': [
    classify(raw(text('hello'))),
    classify(raw(good)),
    classify(await form(['file', png], ['file', text('x')])),
  ],
  'image-type-unsupported': [
    classify(raw(text('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'image/svg+xml')),
    classify(raw(text('%PDF-1.7'))),
    classify(raw(gzipSync(png))),
  ],
  'image-truncated': [
    classify(raw(jpeg.subarray(0, jpeg.length / 2))),
    classify(raw(await firstPart('gif'))),
    classify(raw(await firstPart('avif'))),
  ],
  'image-corrupt': [
    classify(raw(damaged)),
    // libvips does not tell that the end is missing.
    classify(raw(png.subarray(0, png.length - 30))),
    classify(raw(await firstPart('webp'))),
    classify(raw(await firstPart('tiff'))),
  ],
  'too-many-pixels': [classify(raw(await rectangle(300, 200, [0], [9]).png().toBuffer()))],
  'features-malformed': [
    decode(raw(text('hello'))),
    decode(raw(png)),
    decode(json([1, 2])),
    decode(json({ data: [1] })),
    decode(json({ shape: [1] })),
    decode(raw(gzipSync(good))),
    decode(raw(text('PK\x03\x04'))),
    decode(raw(Buffer.from('{"shape": [1], "data": [1]}', 'utf16le'))),
    decode(raw(text('{"shape": ['))),
    decode(raw(text('\x93NUMPY'))),
  ],
  'features-name': [
    decode(
      raw(
        safetensors(
          {
            a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
            b: { dtype: 'F32', shape: [1], data_offsets: [4, 8] },
          },
          8,
        ),
      ),
    ),
    decode(raw(safetensors({}, 0))),
  ],
  'features-rank': [decode(raw(npy([256, 2, 2]))), decode(json({ shape: [0], data: [] }))],
  'features-shape': [decode(raw(npy([1, 64, 4, 4]))), decode(raw(npy([0, 256, 2, 2], new Float32Array(0))))],
  'features-dtype': [
    decode(raw(retyped('<f8'))),
    decode(raw(retyped('|u1'))),
    decode(json({ shape: [1], data: ['1'] })),
    decode(raw(safetensors({ features: { dtype: 'F16', shape: [2], data_offsets: [0, 4] } }, 4))),
    decode(raw(safetensors({ features: { dtype: 'I64', shape: [1], data_offsets: [0, 8] } }, 8))),
  ],
  'features-byte-order': [decode(raw(retyped('>f4')))],
  'features-length': [
    decode(raw(good.subarray(0, good.length - 1))),
    decode(raw(Buffer.concat([good, good]))),
    decode(raw(good.subarray(0, 60))),
    decode(json({ shape: [1, 256, 2, 2], data: [1, 2, 3] })),
    decode(raw(safetensors({ features: { dtype: 'F32', shape: [1, 256, 2, 2], data_offsets: [0, 4096] } }, 4000))),
  ],
  'features-nan': [decode(raw(withValue(Number.NaN))), decode(raw(text('{"shape": [1], "data": [NaN]}')))],
  'features-infinite': [
    decode(raw(withValue(Number.NEGATIVE_INFINITY))),
    decode(json({ shape: [1, 256, 2, 2], data: Array.from(features, () => 1e39) })),
    decode(raw(text('{"shape": [1], "data": [-Infinity]}'))),
  ],
  'features-overflow': ['', '?format=json'].map((query) =>
    decode(
      raw(
        npy(
          [1, 256, 2, 2],
          Float32Array.from(features, () => 3e38),
        ),
      ),
      query,
    ),
  ),
  'format-single-image': [decode(raw(npy([2, 256, 2, 2], new Float32Array(2048))), '?format=png')],
  'steps-out-of-range': await Promise.all(
    ['0', '1', '65', 'many', '2.5'].map(async (n) => blend(await form(['a', png], ['b', png]), `?steps=${n}`)),
  ),
  'top-k-out-of-range': ['0', '-1', '11', 'all', '1&topK=2'].map((k) => classify(raw(png), `?topK=${k}`)),
  'query-invalid': [
    classify(raw(png), '?topk=1'),
    classify(raw(png), '?invert=maybe'),
    decode(raw(good), '?format=jpeg'),
    classify(raw(png), '?model=a&model=b'),
  ],
  'unknown-model': [
    classify(raw(png), '?model=nope'),
    decode(raw(good), '?model=../fashion-mnist'),
    { url: '/models/nope' },
  ],
  'unknown-route': [{ url: '/nope' }, { url: '/nope/' }, { method: 'POST', url: '/classify/x' }],
  'method-not-allowed': [{ url: '/classify' }, { method: 'PUT', url: '/models' }, { method: 'POST', url: '/models/x' }],
  'request-malformed': [{ url: '/models/%E0%A4%A' }],
  'timeout-invalid': ['0', '-1', '1.5', 'soon', '9'.repeat(10), ''].map((wait) => ({
    url: '/healthz',
    headers: { 'irevnet-timeout-ms': wait },
  })),
};

/** Codes that no single request provokes, or not here; the tests of what gives them do. */
const elsewhere: readonly ProblemCode[] = [
  'analysis-unfinished',
  'analysis-queue-full',
  'analysis-storage',
  'analyses-off',
  'not-invertible',
  'model-unavailable',
  'load-failed',
  'default-model',
  'model-control-off',
  'inverse-untrusted',
  'request-timeout',
  'headers-too-large',
  'internal-error',
  'json-too-large',
  'unauthorized',
  'rate-limited',
  'overloaded',
  'not-ready',
  'draining',
  'worker-lost',
  'answer-timeout',
  'inference-malformed',
  'unknown-version',
];

t.test('every code is provoked, here or elsewhere', async (t) => {
  t.same([...Object.keys(requests), ...elsewhere].sort(), [...problemCodes].sort());
});

t.test('every mistake gets its own code and a sentence that helps', async (t) => {
  const { app } = await appOn(t, engine, { maxBytes: 200_000, maxPixels: 50_000, maxImages: 3 });
  for (const [code, sent] of Object.entries(requests) as [ProblemCode, readonly Request[]][]) {
    for (const [i, request] of sent.entries()) {
      const reply = await app.inject({ method: 'GET', ...request });
      const body = reply.json();
      const { status, title, advice } = problems[code];
      const name = `${code} ${i}: ${body.detail}`;
      t.match(reply, { statusCode: status, headers: { 'content-type': 'application/problem+json' } }, name);
      t.match(body, { type: `urn:irevnet:problem:${code}`, title, status, code }, name);
      t.ok(
        body.detail.endsWith(advice) && body.detail.length > advice.length + 10,
        `${code} ${i} says more than its advice`,
      );
    }
  }
});

t.test('a compressed body is refused with what would be taken, under every path; one as it is, is not', async (t) => {
  const { app } = await appOn(t, engine);
  const url = '/v2/models/fashion-mnist/infer';
  const pixels = { name: 'pixels', shape: [1, 28, 28, 1], datatype: 'UINT8', data: Array(784).fill(0) };
  const sent = [
    classify(raw(png)),
    classify(await form(['file', png])),
    decode(raw(good)),
    { url, ...json({ inputs: [pixels] }) },
  ];
  for (const { headers, ...request } of sent) {
    const send = (encoding: string) =>
      app.inject({ method: 'POST', ...request, headers: { ...headers, 'content-encoding': encoding } });
    const name = `${request.url} of ${headers?.['content-type']}`;
    const refused = await send('gzip');
    t.match(refused, { statusCode: 415, headers: { 'accept-encoding': 'identity' } }, name);
    t.match(refused.body, /The body has the Content-Encoding gzip; expected none\. Send the bytes as they are/, name);
    for (const none of ['identity', 'Identity, identity', ''])
      t.equal((await send(none)).statusCode, 200, `${name} ${none}`);
  }
  const missing = await app.inject({
    method: 'POST',
    url: '/nope',
    headers: { 'content-encoding': 'gzip' },
    payload: 'x',
  });
  t.equal(missing.statusCode, 404);
  t.equal((await app.inject({ url: '/healthz', headers: { 'content-encoding': 'gzip' } })).statusCode, 200, 'no body');
});

t.test('a wrong method names the right ones; a refused body ends its connection', async (t) => {
  const { app } = await appOn(t, engine, { maxBytes: 1024 });
  const wrong = await app.inject({ method: 'DELETE', url: '/models/fashion-mnist' });
  t.equal(wrong.headers.allow, 'GET, HEAD');
  const large = await app.inject({ method: 'POST', url: '/classify', ...raw(Buffer.alloc(2000)) });
  t.equal(large.headers.connection, 'close');
});

import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import type { Random } from '../../export/data/random.js';
import type { Request } from '../requests.js';
import { between, chance, damagedPng, isPng, mutate, pick } from './mutate.js';

/** The valid inputs that requests are made from. */
export interface Seeds {
  readonly images: readonly Buffer[];
  readonly features: readonly Buffer[];
  readonly inference: readonly Request[];
}

/** The bytes of a request. */
export interface HostileRequest {
  readonly kind: string;
  readonly bytes: Buffer;
  /** Whether the bytes are complete HTTP, so that the service must answer; otherwise it may just close the connection. */
  readonly complete: boolean;
  /** The only status that is right, where there is one. */
  readonly status?: number;
}

type Headers = readonly (readonly [name: string, value: string])[];

/** A request that asks to close the connection; headers may be wrong or repeated. A body adds its length. */
function requestOf(method: string, path: string, headers: Headers = [], body?: Uint8Array): Buffer {
  const length = body ? [['Content-Length', `${body.length}`] as const] : [];
  const lines = [['Host', '127.0.0.1'], ['Connection', 'close'], ...headers, ...length];
  const head = `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body ?? Buffer.alloc(0)]);
}

const post = (path: string, type: string, body: Uint8Array, headers: Headers = []) =>
  requestOf('POST', path, [['Content-Type', type], ...headers], body);

const mutated = (random: Random, seeds: readonly Buffer[]): Buffer =>
  mutate(pick(random, seeds), random, pick(random, seeds));

const mutatedImage = (random: Random, seeds: readonly Buffer[]): Buffer =>
  chance(random, 0.2) ? damagedPng(pick(random, seeds.filter(isPng)), random) : mutated(random, seeds);

// Each list is written as words, one value a line.
const lines = (text: string): string[] => text.trim().split(/\n\s*/);

const imagePaths = ['/classify', '/classify?topK=10', '/encode', '/encode?format=json', '/encode?invert=yes'];
const featurePaths = ['/decode', '/decode?format=npy', '/decode?format=json', '/invert?format=png'];
const types = ['image/png', 'application/octet-stream', 'application/json', 'text/html', ';', 'a/b'.repeat(100), ''];
const methods = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'TRACE', 'QUERY'];
const paths = ['/classify', '/encode', '/decode', '/interpolate', '/models', '/healthz', '/version', '/metrics', '/v2'];

const queries = [
  ...lines(`
    model=fashion-mnist
    topK=3
    steps=4
    format=json
    invert=auto
    model=../../etc
    model=%00
    model=%F0%28%8C%28
    topK=1&topK=2
    topK=1e400
    topK=-1
    steps=9999999999999999999999
    format[]=json
    format=gif
    __proto__=1
    __proto__[x]=1
    constructor[prototype][x]=1
    %
    &&&`),
  'a=b'.repeat(2000),
];

const addresses = [
  ...lines(`
    /models/fashion-mnist
    /models/..%2f..%2fetc%2fpasswd
    /models/%ff
    /models/__proto__
    /docs/static/..%2f..%2f..%2fpackage.json
    /docs/json
    /v2/models/fashion-mnist/versions/2/infer
    /v2/models/fashion-mnist-inverse/config
    /v2/models/%00/config
    /?model=a
    /v2/health/ready
    //127.0.0.1/classify
    http://127.0.0.1/classify
    *`),
  `/${'a/'.repeat(2000)}`,
];

/** Headers that are wrong, or rarely seen. */
const headers = [
  ...lines(`
    Content-Length: 5
    Content-Length: -1
    Content-Length: 99999999999999999999
    Content-Length: 1e3
    Transfer-Encoding: chunked
    Transfer-Encoding: gzip, chunked
    Transfer-Encoding: identity
    Content-Encoding: gzip
    Content-Encoding: identity
    Content-Encoding: identity, , br
    Expect: 100-continue
    Expect: else
    Upgrade: websocket
    Upgrade: h2c
    Connection: keep-alive, upgrade
    Host: a\tb
    Accept: image/*;q=2, */*;q=x
    Accept: ,;,;q=
    Accept: text/html
    Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2
    Accept: *
    Accept-Encoding: gzip;q=0, *;q=0
    Irevnet-Timeout-Ms: -1
    Irevnet-Timeout-Ms: 99999999999999
    Authorization: Bearer \xff
    X-Request-Id: x\x01y
    Traceparent: 00-00000000000000000000000000000000-0000000000000000-00
    Origin: null
    Range: bytes=0-1,5-
    If-None-Match: *
    X\x00Y: 1`),
  'Host: ',
  ' folded: x',
  `Accept: ${'a/b,'.repeat(3000)}`,
  `Cookie: ${'a=b;'.repeat(3000)}`,
  `X-Forwarded-For: ${'1.2.3.4, '.repeat(500)}`,
].map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]);

const fields = [
  'file',
  'a',
  'b',
  '',
  '__proto__',
  'constructor',
  'file[]',
  'file"; x="y',
  'f'.repeat(5000),
  '\xff\xfe',
];
const fileNames = ['a.png', '', '../../etc/passwd', 'a".png', 'a\r\nX: y', 'n'.repeat(20_000), '\xff', '%00'];
const boundaries = ['x', '-', '--', "'()+_,-./:=?", 'b'.repeat(70), 'b'.repeat(3000)];
const partHeaders = [
  ...lines(`
    Content-Transfer-Encoding: base64
    Content-Transfer-Encoding: quoted-printable
    Content-Type: image/png
    Content-Type: multipart/mixed; boundary=y
    Content-Type: text/plain; charset=utf-16
    Content-Type: ;;;
    Content-Disposition: attachment
    no colon
    : no name`),
  `X-Long: ${'x'.repeat(100_000)}`,
];
const formTypes = (boundary: string) =>
  lines(`
    multipart/form-data
    multipart/form-data; boundary=
    multipart/form-data; boundary=other
    multipart/form-data; boundary=${boundary}; boundary=other
    multipart/mixed; boundary="${boundary}"
    MULTIPART/FORM-DATA ; BOUNDARY="${boundary}"
    multipart/form-data; charset=utf-7; boundary*=x`);

/** A form with these files that is mostly correct. */
function postForm(random: Random, path: string, files: readonly (readonly [field: string, data: Buffer])[]): Buffer {
  const boundary = pick(random, boundaries);
  const newline = chance(random, 0.05) ? '\n' : '\r\n';
  const part = ([field, data]: readonly [string, Buffer]) => {
    const name = chance(random, 0.1) ? pick(random, fields) : field;
    const isNamed = chance(random, 0.9);
    const filename = isNamed ? `; filename="${chance(random, 0.1) ? pick(random, fileNames) : 'a'}"` : '';
    const typed = isNamed || chance(random, 0.5) ? '' : `Content-Type: image/png${newline}`;
    const extra = chance(random, 0.1) ? pick(random, partHeaders) + newline : '';
    const disposition = `Content-Disposition: form-data; name="${name}"${filename}`;
    const head = Buffer.from(`--${boundary}${newline}${disposition}${newline}${typed}${extra}${newline}`, 'latin1');
    return Buffer.concat([head, data, Buffer.from(newline)]);
  };
  const parts = chance(random, 0.05) ? Array.from({ length: between(random, 0, 600) }, () => files[0]!) : files;
  const last = chance(random, 0.1) ? '' : `--${boundary}--${newline}`;
  const body = Buffer.concat([...parts.map(part), Buffer.from(last)]);
  const type = `multipart/form-data; boundary="${boundary}"`;
  return post(
    path,
    chance(random, 0.85) ? type : pick(random, formTypes(boundary)),
    chance(random, 0.3) ? mutate(body, random) : body,
  );
}

/** A valid body for an address that may be wrong. */
function addressed(random: Random, { images, features }: Seeds): Buffer {
  const query = Array.from({ length: between(random, 0, 4) }, () => pick(random, queries)).join('&');
  const path = chance(random, 0.3) ? pick(random, addresses) : `${pick(random, paths)}?${query}`;
  // No spaces or control characters: they would end the address.
  const visible = (bytes: Buffer) => `/${bytes.toString('latin1').replace(/[\0-\x20\x7f]/g, '')}`;
  const address = chance(random, 0.3) ? visible(mutate(Buffer.from(path), random)) : path;
  const method = chance(random, 0.7) ? 'POST' : pick(random, methods);
  if (method === 'GET' || method === 'HEAD') return requestOf(method, address);
  const body = pick(random, [images[0]!, features[0]!, Buffer.alloc(0)]);
  return requestOf(method, address, [['Content-Type', pick(random, types)]], body);
}

function withWrongHead(random: Random, { images }: Seeds): Buffer {
  const extra = Array.from({ length: between(random, 1, 4) }, () => pick(random, headers));
  const body = images[0]!;
  const request = post('/classify', 'image/png', body, extra);
  if (chance(random, 0.5)) return request;
  return Buffer.concat([mutate(request.subarray(0, request.length - body.length), random), body]);
}

function chunked(random: Random, body: Buffer): Buffer {
  const size = between(random, 1, 300);
  const chunks = Array.from({ length: Math.ceil(body.length / size) }, (_, i) => {
    const part = body.subarray(i * size, (i + 1) * size);
    return Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]);
  });
  const whole = Buffer.concat([...chunks, Buffer.from('0\r\n\r\n')]);
  const head = requestOf('POST', '/classify', [
    ['Content-Type', 'image/png'],
    ['Transfer-Encoding', 'chunked'],
  ]);
  return Buffer.concat([head, chance(random, 0.7) ? mutate(whole, random) : whole]);
}

function infer(random: Random, { inference }: Seeds): Buffer {
  const { path, headers: valid, body } = pick(random, inference);
  const changed = Object.entries(valid!).map(([name, value]) => {
    const length = pick(random, ['0', '-1', '1', '99999999', '1e3', value.slice(1), `${value}0`, '9'.repeat(30)]);
    return [name, name.endsWith('length') && chance(random, 0.3) ? length : value] as const;
  });
  const sent = chance(random, 0.9) ? mutate(body!, random, pick(random, inference).body) : body!;
  return requestOf('POST', path, changed, sent);
}

/** Bodies of requests to the model repository; the service has one model, which stays. */
const controls = [
  '',
  '{}',
  '{"ready":true}',
  '{"parameters":{"unload_dependents":true}}',
  '{"parameters":{"file:1/x":"eA=="}}',
];
const controlled = ['index', 'models/fashion-mnist/load', 'models/fashion-mnist/unload', 'models/..%2f..%2fetc/load'];

function control(random: Random): Buffer {
  const body = Buffer.from(pick(random, controls));
  const sent = body.length > 0 && chance(random, 0.5) ? mutate(body, random, body) : body;
  return post(`/v2/repository/${pick(random, controlled)}`, pick(random, types), sent);
}

/** A body that is compressed, or says so. */
function compressed(random: Random, { images, features, inference }: Seeds): Buffer {
  const [path, type, body] = pick(random, [
    [pick(random, imagePaths), 'image/png', pick(random, images)],
    [pick(random, imagePaths), 'multipart/form-data; boundary=x', pick(random, images)],
    [pick(random, featurePaths), 'application/octet-stream', pick(random, features)],
    [pick(random, inference).path, 'application/json', pick(random, inference).body!],
  ] as const);
  const [encoding, compress] = pick(random, [
    ['gzip', gzipSync],
    ['identity, X-GZip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', (bytes: Uint8Array) => bytes],
  ] as const);
  const packed = compress(body);
  const changed = mutate(packed, random);
  // Without a body, there is nothing to refuse.
  const sent = chance(random, 0.3) && changed.length > 0 ? changed : packed;
  return post(path, type, sent, [['Content-Encoding', encoding]]);
}

type Make = (random: Random, seeds: Seeds) => Buffer;

/** Every kind of request and its weight among the others. */
const kinds: readonly (readonly [kind: string, weight: number, make: Make])[] = [
  [
    'image',
    8,
    (random, { images }) => {
      const type = chance(random, 0.9) ? 'image/png' : pick(random, types);
      return post(pick(random, imagePaths), type, mutatedImage(random, images));
    },
  ],
  [
    'features',
    4,
    (random, { features }) => post(pick(random, featurePaths), 'application/octet-stream', mutated(random, features)),
  ],
  [
    'form of images',
    3,
    (random, { images }) => {
      const image = () => (chance(random, 0.3) ? mutatedImage(random, images) : pick(random, images));
      const files = Array.from({ length: between(random, 1, 5) }, () => ['file', image()] as const);
      return postForm(random, pick(random, imagePaths), files);
    },
  ],
  ['form of features', 1, (random, { features }) => postForm(random, '/decode', [['file', mutated(random, features)]])],
  [
    'interpolation',
    2,
    (random, { images }) => {
      const [a, b] = [mutatedImage(random, images), pick(random, images)];
      return postForm(random, '/interpolate?steps=3', [
        ['a', chance(random, 0.5) ? a : b],
        ['b', b],
      ]);
    },
  ],
  ['inference', 3, infer],
  ['repository', 1, control],
  ['compressed', 1, compressed],
  ['address', 2, addressed],
  ['chunks', 1, (random, { images }) => chunked(random, pick(random, images))],
  ['head', 2, withWrongHead],
];
const incomplete = ['chunks', 'head'];
const weighted = kinds.flatMap((kind) => Array<typeof kind>(kind[1]).fill(kind));

/** Draws a request; the same random numbers give the same request. */
export function drawRequest(random: Random, seeds: Seeds): HostileRequest {
  const [kind, , make] = pick(random, weighted);
  const only = kind === 'compressed' ? { status: 415 } : {};
  return { kind, bytes: make(random, seeds), complete: !incomplete.includes(kind), ...only };
}

import type { Random } from '../../export/data/random.js';
import type { InferenceRequests } from '../inference.js';
import type { Request } from '../load.js';
import { form } from './forms.js';
import { chunked, type Headers, requestOf } from './http.js';
import { between, chance, mutate, pick } from './mutate.js';
import { damagedPng, isPng } from './png.js';

/** What requests are made from. */
export interface Seeds {
  readonly images: readonly Buffer[];
  readonly features: readonly Buffer[];
  readonly inference: InferenceRequests;
}

/** A request as it goes over the wire. */
export interface Case {
  readonly kind: string;
  readonly bytes: Buffer;
  /** Whether this is HTTP, so that there has to be an answer; else the connection may just be closed. */
  readonly whole: boolean;
}

interface Kind {
  readonly weight: number;
  make(random: Random, seeds: Seeds): Pick<Case, 'bytes'> & Partial<Case>;
}

const post = (path: string, type: string, body: Uint8Array, headers: Headers = []) =>
  requestOf('POST', path, [['Content-Type', type], ...headers], body);

const mutated = (random: Random, seeds: readonly Buffer[]): Buffer =>
  mutate(pick(random, seeds), random, pick(random, seeds));

const mutatedImage = (random: Random, seeds: readonly Buffer[]): Buffer =>
  chance(random, 0.2) ? damagedPng(pick(random, seeds.filter(isPng)), random) : mutated(random, seeds);

const imagePaths = ['/classify', '/classify?topK=10', '/encode', '/encode?format=json', '/encode?invert=yes'];
const featurePaths = ['/decode', '/decode?format=npy', '/decode?format=json', '/invert?format=png'];
const types = ['image/png', 'application/octet-stream', 'application/json', 'text/html', ';', 'a/b'.repeat(100), ''];

const queries = [
  'model=fashion-mnist',
  'topK=3',
  'steps=4',
  'format=json',
  'invert=auto',
  'model=../../etc',
  'model=%00',
  'model=%F0%28%8C%28',
  'topK=1&topK=2',
  'topK=1e400',
  'topK=-1',
  'steps=9999999999999999999999',
  'format[]=json',
  'format=gif',
  '__proto__=1',
  '__proto__[x]=1',
  'constructor[prototype][x]=1',
  '%',
  '&&&',
  'a=b'.repeat(2000),
];
const paths = ['/classify', '/encode', '/decode', '/interpolate', '/models', '/healthz', '/version', '/metrics', '/v2'];
const addresses = [
  '/models/fashion-mnist',
  '/models/..%2f..%2fetc%2fpasswd',
  '/models/%ff',
  '/models/__proto__',
  '/docs/static/..%2f..%2f..%2fpackage.json',
  '/docs/json',
  '/v2/models/fashion-mnist/versions/2/infer',
  '/v2/health/ready',
  `/${'a/'.repeat(2000)}`,
  '//127.0.0.1/classify',
  'http://127.0.0.1/classify',
  '*',
];
const methods = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'TRACE', 'QUERY'];

/** Headers that are wrong, or rarely seen. */
const tricks: readonly (readonly [string, string])[] = [
  ['Content-Length', '5'],
  ['Content-Length', '-1'],
  ['Content-Length', '99999999999999999999'],
  ['Content-Length', '1e3'],
  ['Transfer-Encoding', 'chunked'],
  ['Transfer-Encoding', 'gzip, chunked'],
  ['Transfer-Encoding', 'identity'],
  ['Content-Encoding', 'gzip'],
  ['Expect', '100-continue'],
  ['Expect', 'else'],
  ['Upgrade', 'websocket'],
  ['Upgrade', 'h2c'],
  ['Connection', 'keep-alive, upgrade'],
  ['Host', ''],
  ['Host', 'a\tb'],
  ['Accept', 'image/*;q=2, */*;q=x'],
  ['Accept', ',;,;q='],
  ['Accept', 'text/html'],
  ['Accept', `${'a/b,'.repeat(3000)}`],
  ['Accept-Encoding', 'gzip;q=0, *;q=0'],
  ['Irevnet-Timeout-Ms', '-1'],
  ['Irevnet-Timeout-Ms', '99999999999999'],
  ['Authorization', 'Bearer \xff'],
  ['X-Forwarded-For', `${'1.2.3.4, '.repeat(500)}`],
  ['X-Request-Id', 'x\x01y'],
  ['Traceparent', '00-00000000000000000000000000000000-0000000000000000-00'],
  ['Origin', 'null'],
  ['Range', 'bytes=0-1,5-'],
  ['If-None-Match', '*'],
  ['Cookie', `${'a=b;'.repeat(3000)}`],
  ['X\x00Y', '1'],
  [' folded', 'x'],
];

/** An address that may be wrong, with a body that is good. */
function addressed(random: Random, { images, features }: Seeds): Buffer {
  const query = Array.from({ length: between(random, 0, 4) }, () => pick(random, queries)).join('&');
  const path = chance(random, 0.3) ? pick(random, addresses) : `${pick(random, paths)}?${query}`;
  const address = chance(random, 0.3) ? visible(mutate(Buffer.from(path), random)) : path;
  const method = chance(random, 0.7) ? 'POST' : pick(random, methods);
  if (method === 'GET' || method === 'HEAD') return requestOf(method, address);
  const body = pick(random, [images[0]!, features[0]!, Buffer.alloc(0)]);
  return requestOf(method, address, [['Content-Type', pick(random, types)]], body);
}

/** A request line has no spaces or control characters in its address. */
const visible = (bytes: Buffer): string => `/${bytes.toString('latin1').replace(/[\0-\x20\x7f]/g, '')}`;

/** A request whose head is wrong somewhere. */
function head(random: Random, { images }: Seeds): Buffer {
  const extra = Array.from({ length: between(random, 1, 4) }, () => pick(random, tricks));
  const body = images[0]!;
  const whole = post('/classify', 'image/png', body, extra);
  if (chance(random, 0.5)) return whole;
  const end = whole.indexOf('\r\n\r\n') + 4;
  return Buffer.concat([mutate(whole.subarray(0, end), random), body]);
}

function inference(random: Random, { inference: { json, binary } }: Seeds): Buffer {
  const { path, headers, body } = pick<Request>(random, [...json, ...binary]);
  const changed = Object.entries(headers!).map(([name, value]) => {
    const length = pick(random, ['0', '-1', '1', '99999999', '1e3', value.slice(1), `${value}0`, '9'.repeat(30)]);
    return [name, name.endsWith('length') && chance(random, 0.3) ? length : value] as const;
  });
  return requestOf('POST', path, changed, chance(random, 0.9) ? mutate(body!, random, pick(random, json).body) : body!);
}

/** Every kind of request, and how often it comes among the others. */
const kinds: Readonly<Record<string, Kind>> = {
  image: {
    weight: 8,
    make: (random, { images }) => ({
      bytes: post(
        pick(random, imagePaths),
        chance(random, 0.9) ? 'image/png' : pick(random, types),
        mutatedImage(random, images),
      ),
    }),
  },
  features: {
    weight: 4,
    make: (random, { features }) => ({
      bytes: post(pick(random, featurePaths), 'application/octet-stream', mutated(random, features)),
    }),
  },
  'form of images': {
    weight: 3,
    make: (random, { images }) => {
      const image = () => (chance(random, 0.3) ? mutatedImage(random, images) : pick(random, images));
      const files = Array.from({ length: between(random, 1, 5) }, () => ['file', image()] as const);
      const { type, body } = form(random, files);
      return { bytes: post(pick(random, imagePaths), type, body) };
    },
  },
  'form of two': {
    weight: 2,
    make: (random, { images, features }) => {
      const [a, b] = [mutatedImage(random, images), pick(random, images)];
      const { type, body } = chance(random, 0.8)
        ? form(random, [
            ['a', chance(random, 0.5) ? a : b],
            ['b', b],
          ])
        : form(random, [['file', mutated(random, features)]]);
      return { bytes: post(chance(random, 0.8) ? '/interpolate?steps=3' : '/decode', type, body) };
    },
  },
  inference: { weight: 3, make: (random, seeds) => ({ bytes: inference(random, seeds) }) },
  address: { weight: 2, make: (random, seeds) => ({ bytes: addressed(random, seeds) }) },
  chunks: {
    weight: 1,
    make: (random, { images }) => {
      const body = chunked(pick(random, images), between(random, 1, 300));
      const changed = chance(random, 0.7) ? mutate(body, random) : body;
      const headers = [['Content-Type', 'image/png'] as const, ['Transfer-Encoding', 'chunked'] as const];
      return { bytes: Buffer.concat([requestOf('POST', '/classify', headers), changed]), whole: false };
    },
  },
  head: { weight: 2, make: (random, seeds) => ({ bytes: head(random, seeds), whole: false }) },
};

const drawn = Object.entries(kinds).flatMap(([kind, { weight }]) => Array<string>(weight).fill(kind));

/** A request, the same for the same random numbers. */
export function makeCase(random: Random, seeds: Seeds): Case {
  const kind = pick(random, drawn);
  return { kind, whole: true, ...kinds[kind]!.make(random, seeds) };
}

import sharp from 'sharp';
import type { Pool } from 'undici';
import type { Random } from '../../export/data/random.js';
import { formRequest } from '../form.js';
import { between, pick } from '../fuzz/mutate.js';
import type { InferenceRequests } from '../inference.js';
import type { Request } from '../load.js';
import { ask, leave, type Reply, trickle } from './client.js';

/** An image as a file, as the pixels that are in it, and as the service classified it the first time. */
export interface Known {
  readonly file: Buffer;
  readonly pixels: Buffer;
  readonly label: string;
}

export interface Surroundings {
  readonly pool: Pool;
  readonly port: number;
  readonly images: readonly Known[];
  /** A picture that has to be resized. */
  readonly photograph: Buffer;
  readonly inference: InferenceRequests;
}

/** What came of a request: its status, or what else it ended in, and what was wrong with that. */
export interface Outcome {
  readonly status: string;
  readonly wrong?: string | undefined;
}

interface Kind {
  readonly weight: number;
  run(around: Surroundings, random: Random): Promise<Outcome>;
}

/** An answer that has to have a status and to pass a test. */
const expected = async (
  reply: Reply,
  status: number,
  wrong?: () => Promise<string | undefined> | string | undefined,
) => ({
  status: String(reply.status),
  wrong:
    reply.status === status ? await wrong?.() : `expected ${status}: ${reply.body.toString('latin1').slice(0, 300)}`,
});

const image = (path: string, body: Uint8Array): Request => ({ path, headers: { 'content-type': 'image/png' }, body });
const some = <T>(random: Random, list: readonly T[], most: number): T[] =>
  Array.from({ length: between(random, 1, most + 1) }, () => pick(random, list));
const labelsOf = ({ body }: Reply): string[] =>
  (JSON.parse(body.toString()) as { predictions: { top: { label: string }[] }[] }).predictions.map(
    (p) => p.top[0]!.label,
  );
const pixelsOf = ({ body }: Reply): Buffer =>
  Buffer.from((JSON.parse(body.toString()) as { pixels: { data: number[] } }).pixels.data);
const differ = (found: string[], images: readonly Known[]) =>
  found.join() === images.map(({ label }) => label).join() ? undefined : `other labels: ${found}`;

/** The grey values of an image file. */
export const greys = (file: Uint8Array): Promise<Buffer> => sharp(file).toColourspace('b-w').raw().toBuffer();

/** Encodes images, decodes the features and compares the pixels. */
async function roundTrip(
  { pool }: Surroundings,
  images: readonly Known[],
  format: string,
  back: string,
): Promise<Outcome> {
  const request = await formRequest(
    `/encode?format=${format}`,
    images.map(({ file }) => ['file', file] as const),
  );
  const encoded = await ask(pool, request);
  if (encoded.status !== 200) return expected(encoded, 200);
  const headers = { 'content-type': 'application/octet-stream' };
  const decoded = await ask(pool, { path: `/decode?format=${back}`, headers, body: encoded.body });
  return expected(decoded, 200, async () => {
    const pixels = back === 'png' ? await greys(decoded.body) : pixelsOf(decoded);
    return pixels.equals(Buffer.concat(images.map((i) => i.pixels))) ? undefined : 'other pixels came back';
  });
}

/** The frames at both ends have to be the images. */
async function interpolation({ pool, images }: Surroundings, random: Random): Promise<Outcome> {
  const [a, b, steps] = [pick(random, images), pick(random, images), between(random, 2, 9)];
  const format = pick(random, ['png', 'gif', 'npy', 'json']);
  const files = [
    ['a', a.file],
    ['b', b.file],
  ] as const;
  const reply = await ask(pool, await formRequest(`/interpolate?steps=${steps}&format=${format}`, files));
  return expected(reply, 200, () => {
    if (format !== 'json') return undefined;
    const frames = pixelsOf(reply);
    const ends = Buffer.concat([frames.subarray(0, a.pixels.length), frames.subarray(-b.pixels.length)]);
    return ends.equals(Buffer.concat([a.pixels, b.pixels])) ? undefined : 'the ends are other images';
  });
}

const infer = async (pool: Pool, request: Request) => expected(await ask(pool, request), 200);

const addresses = ['/models', '/models/fashion-mnist', '/healthz', '/readyz', '/version', '/docs/json', '/metrics'];

/** Requests that are refused, and how. */
const mistakes = ({ images, photograph }: Surroundings): readonly (readonly [Request, number])[] => {
  const { file } = images[0]!;
  return [
    [image('/classify', Buffer.from('no image')), 400],
    [image('/classify', photograph.subarray(0, photograph.length / 2)), 400],
    [image('/classify', Buffer.alloc(0)), 400],
    [image('/classify?topK=99', file), 400],
    [image('/classify?model=none', file), 404],
    [image('/encode?format=bmp', file), 400],
    [image('/decode', file), 415],
    [{ path: '/decode', headers: { 'content-type': 'application/json' }, body: Buffer.from('{"shape":[1') }, 400],
    [{ method: 'GET', path: '/nowhere' }, 404],
    [{ method: 'GET', path: '/classify' }, 405],
    [{ path: '/classify', headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: file }, 400],
  ];
};

/** Every kind of request, and how often it comes among the others. */
export const kinds: Readonly<Record<string, Kind>> = {
  'classify, raw': {
    weight: 10,
    async run({ pool, images }, random) {
      const one = pick(random, images);
      const reply = await ask(pool, image('/classify', one.file));
      return expected(reply, 200, () => differ(labelsOf(reply), [one]));
    },
  },
  'classify, form': {
    weight: 6,
    async run({ pool, images }, random) {
      const several = some(random, images, 8);
      const reply = await ask(
        pool,
        await formRequest(
          '/classify',
          several.map(({ file }) => ['file', file] as const),
        ),
      );
      return expected(reply, 200, () => differ(labelsOf(reply), several));
    },
  },
  'classify, photograph': {
    weight: 3,
    run: async ({ pool, photograph }) => expected(await ask(pool, image('/classify', photograph)), 200),
  },
  'encode and decode': {
    weight: 8,
    run: (around, random) =>
      roundTrip(around, some(random, around.images, 6), pick(random, ['npy', 'safetensors', 'json']), 'json'),
  },
  'encode and decode, png': {
    weight: 4,
    run: (around, random) =>
      roundTrip(around, [pick(random, around.images)], pick(random, ['npy', 'safetensors', 'json']), 'png'),
  },
  interpolate: { weight: 4, run: interpolation },
  read: {
    weight: 3,
    run: async ({ pool }, random) => expected(await ask(pool, { method: 'GET', path: pick(random, addresses) }), 200),
  },
  'infer, JSON': { weight: 3, run: ({ pool, inference }, random) => infer(pool, pick(random, inference.json)) },
  'infer, binary': { weight: 3, run: ({ pool, inference }, random) => infer(pool, pick(random, inference.binary)) },
  'mistake of the client': {
    weight: 6,
    async run(around, random) {
      const [request, status] = pick(random, mistakes(around));
      return expected(await ask(around.pool, request), status);
    },
  },
  'client that leaves': {
    weight: 3,
    async run({ port, photograph }, random) {
      await leave(port, [image('/classify', photograph)], random() < 0.3 ? 1 : random(), 2);
      return { status: 'left' };
    },
  },
  'pipeline that leaves': {
    weight: 2,
    async run({ port, images }, random) {
      const behind = some(random, images, 6).map(({ file }) => image('/classify', file));
      // The others wait behind one that takes a while.
      const files = Array.from({ length: 64 }, () => ['file', pick(random, images).file] as const);
      await leave(port, [await formRequest('/classify', files), ...behind], 1, between(random, 2, 40));
      return { status: 'left' };
    },
  },
  'slow client': {
    weight: 1,
    async run({ port, photograph }) {
      const status = await trickle(port, image('/classify', photograph), 10, 300);
      return { status: String(status), wrong: status === 200 ? undefined : 'expected 200' };
    },
  },
};

const drawn = Object.entries(kinds).flatMap(([kind, { weight }]) => Array<string>(weight).fill(kind));

/** Draws a kind of request. */
export const drawKind = (random: Random): string => pick(random, drawn);

/** What the service says of images at the start. */
export async function known(pool: Pool, files: readonly Buffer[]): Promise<Known[]> {
  return Promise.all(
    files.map(async (file) => {
      const [label] = labelsOf(await ask(pool, image('/classify', file)));
      return { file, pixels: await greys(file), label: label! };
    }),
  );
}

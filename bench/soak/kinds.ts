import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import type { Pool } from 'undici';
import type { Random } from '../../export/data/random.js';
import { between, pick } from '../fuzz/mutate.js';
import { ask, type Reply } from '../load.js';
import { post, postForm, type Request } from '../requests.js';

/** An image file, its pixels, and the label that the service gave it at the start. */
export interface Known {
  readonly file: Buffer;
  readonly pixels: Buffer;
  readonly label: string;
}

/** What requests are made from and sent with. */
export interface Surroundings {
  readonly pool: Pool;
  readonly images: readonly Known[];
  /** A photograph that has to be resized. */
  readonly photograph: Buffer;
  readonly inference: readonly Request[];
}

/** The status of an answer, or another end of a request; `wrong` where it is not the expected one. */
export interface Outcome {
  readonly status: string;
  readonly wrong?: string | undefined;
}

type Run = (around: Surroundings, random: Random) => Promise<Outcome>;

/** Compares the status; then `check` may say what is wrong with the body. */
async function expected(reply: Reply, status = 200, check?: () => Promise<string | undefined> | string | undefined) {
  const right = reply.status === status;
  const wrong = right ? await check?.() : `expected ${status}: ${reply.body.toString('latin1').slice(0, 300)}`;
  return { status: `${reply.status}`, wrong };
}

const png = (path: string, body: Uint8Array): Request => post(path, 'image/png', body);
const some = (random: Random, images: readonly Known[], most: number): Known[] =>
  Array.from({ length: between(random, 1, most + 1) }, () => pick(random, images));
const form = (path: string, images: readonly Known[]) =>
  postForm(
    path,
    images.map(({ file }) => ['file', file] as const),
  );

function labelsOf({ body }: Reply): string[] {
  const { predictions } = JSON.parse(body.toString()) as { predictions: { top: { label: string }[] }[] };
  return predictions.map(({ top }) => top[0]!.label);
}
const sameLabels = (reply: Reply, images: readonly Known[]) =>
  labelsOf(reply).join() === images.map(({ label }) => label).join() ? undefined : `other labels: ${labelsOf(reply)}`;

const greys = (file: Uint8Array): Promise<Buffer> => sharp(file).toColourspace('b-w').raw().toBuffer();
const pixelsIn = ({ body }: Reply): Buffer =>
  Buffer.from((JSON.parse(body.toString()) as { pixels: { data: number[] } }).pixels.data);

const classify: Run = async ({ pool, images }, random) => {
  const one = pick(random, images);
  const reply = await ask(pool, png('/classify', one.file));
  return expected(reply, 200, () => sameLabels(reply, [one]));
};

const classifyForm: Run = async ({ pool, images }, random) => {
  const several = some(random, images, 8);
  const reply = await ask(pool, await form('/classify', several));
  return expected(reply, 200, () => sameLabels(reply, several));
};

/** Encodes images and decodes the features; the pixels must be the same. */
const roundTrip: Run = async ({ pool, images }, random) => {
  const back = pick(random, ['png', 'json']);
  const several = some(random, images, back === 'png' ? 1 : 6);
  const encoded = await ask(
    pool,
    await form(`/encode?format=${pick(random, ['npy', 'safetensors', 'json'])}`, several),
  );
  if (encoded.status !== 200) return expected(encoded);
  const decoded = await ask(pool, post(`/decode?format=${back}`, 'application/octet-stream', encoded.body));
  return expected(decoded, 200, async () => {
    const pixels = back === 'png' ? await greys(decoded.body) : pixelsIn(decoded);
    return pixels.equals(Buffer.concat(several.map((i) => i.pixels))) ? undefined : 'other pixels came back';
  });
};

/** Interpolates between two images; the first and the last frame must be these images. */
const interpolate: Run = async ({ pool, images }, random) => {
  const [a, b] = [pick(random, images), pick(random, images)];
  const format = pick(random, ['png', 'gif', 'npy', 'json']);
  const path = `/interpolate?steps=${between(random, 2, 9)}&format=${format}`;
  const reply = await ask(
    pool,
    await postForm(path, [
      ['a', a.file],
      ['b', b.file],
    ]),
  );
  return expected(reply, 200, () => {
    if (format !== 'json') return undefined;
    const frames = pixelsIn(reply);
    const ends = Buffer.concat([frames.subarray(0, a.pixels.length), frames.subarray(-b.pixels.length)]);
    return ends.equals(Buffer.concat([a.pixels, b.pixels])) ? undefined : 'the ends are other images';
  });
};

const addresses = ['/models', '/models/fashion-mnist', '/healthz', '/readyz', '/version', '/docs/json', '/metrics'];

/** Requests that the service refuses, and the status. */
const mistakes = ({ images, photograph }: Surroundings): readonly (readonly [Request, number])[] => {
  const { file } = images[0]!;
  return [
    [png('/classify', Buffer.from('no image')), 400],
    [png('/classify', photograph.subarray(0, photograph.length / 2)), 400],
    [png('/classify', Buffer.alloc(0)), 400],
    [png('/classify?topK=99', file), 400],
    [png('/classify?model=none', file), 404],
    [png('/encode?format=bmp', file), 400],
    [png('/decode', file), 415],
    [post('/decode', 'application/json', Buffer.from('{"shape":[1')), 400],
    [{ method: 'GET', path: '/nowhere' }, 404],
    [{ method: 'GET', path: '/classify' }, 405],
    [post('/classify', 'multipart/form-data; boundary=x', file), 400],
  ];
};

const mistake: Run = async (around, random) => {
  const [request, status] = pick(random, mistakes(around));
  return expected(await ask(around.pool, request), status);
};

/** A body that comes in pieces with pauses. */
function inPieces(body: Uint8Array, pieces: number, pauseMs: number): Readable {
  const size = Math.ceil(body.length / pieces);
  return Readable.from(
    (async function* () {
      for (let at = 0; at < body.length; at += size) {
        yield body.subarray(at, at + size);
        await sleep(pauseMs);
      }
    })(),
  );
}

const slowClient: Run = async ({ pool, photograph }) =>
  expected(await ask(pool, png('/classify', photograph), { body: inPieces(photograph, 10, 300) }));

/** A client that closes its connection at any time: while it sends, while it waits, or while it reads. */
const leavingClient: Run = async ({ pool, images }, random) => {
  const many = Array.from({ length: 32 }, () => pick(random, images));
  const request = await form('/classify', many);
  const body = inPieces(request.body!, 4, pick(random, [0, 20]));
  const signal = AbortSignal.timeout(between(random, 2, 60));
  return ask(pool, request, { body, signal }).then(
    (reply) => expected(reply, 200, () => sameLabels(reply, many)),
    (error: Error) => ({ status: 'left', wrong: signal.aborted ? undefined : error.message }),
  );
};

/** Every kind of request and its weight among the others. */
const kinds: readonly (readonly [kind: string, weight: number, run: Run])[] = [
  ['classify', 10, classify],
  ['classify, form', 6, classifyForm],
  ['classify, photograph', 3, async ({ pool, photograph }) => expected(await ask(pool, png('/classify', photograph)))],
  ['encode and decode', 12, roundTrip],
  ['interpolate', 4, interpolate],
  ['read', 3, async ({ pool }, random) => expected(await ask(pool, { method: 'GET', path: pick(random, addresses) }))],
  ['infer', 6, async ({ pool, inference }, random) => expected(await ask(pool, pick(random, inference)))],
  ['mistake of the client', 6, mistake],
  ['client that leaves', 5, leavingClient],
  ['slow client', 1, slowClient],
];
const weighted = kinds.flatMap((kind) => Array<typeof kind>(kind[1]).fill(kind));

export function drawKind(random: Random): { kind: string; run: Run } {
  const [kind, , run] = pick(random, weighted);
  return { kind, run };
}

/** Classifies image files, so that later answers can be compared. */
export const known = (pool: Pool, files: readonly Buffer[]): Promise<Known[]> =>
  Promise.all(
    files.map(async (file) => {
      const [label] = labelsOf(await ask(pool, png('/classify', file)));
      return { file, pixels: await greys(file), label: label! };
    }),
  );

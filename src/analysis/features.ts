import { type Images, pixelsOf, slice } from '../../export/data/images.js';
import { sha256 } from '../../export/files/write.js';
import { type Tensor, tensor } from '../../export/graph/tensor.js';
import type { Session } from '../../export/runtime/session.js';
import { runInSlices } from '../../export/runtime/slices.js';
import { type Context, withGraph } from './context.js';
import { AnalysisError } from './errors.js';
import { diskStore, memoryStore, type Store } from './store.js';
import type { Subject } from './subjects.js';
import { averageTaps, batchFor, type Taps, tapName } from './taps.js';

/** The states of a network on a set of images, channels averaged over places. */
export interface Features {
  readonly count: number;
  /** Channels by depth: 0 is the state before the first block, d the state after block d. */
  readonly dimensions: readonly number[];
  /** The features of every image at a depth, float32 [count, dimensions[depth]]. @throws AnalysisError not-finite */
  at(depth: number): Promise<Tensor<'float32'>>;
}

/** Images whose features lie in one file. An interrupted run loses no more than these. */
const CHUNK = 1000;

/** Changes when the layout of the files or the meaning of their numbers does. */
const VERSION = 1;

type Running = Pick<Context, 'threads' | 'device' | 'cache' | 'progress' | 'signal'>;

/** Some of the images, and the name under which their features are kept. A file holds depth after depth, [images, channels] each. */
interface Chunk {
  readonly images: Images;
  readonly name: string;
}

/**
 * Sends images through a network once and keeps what every block gives, averaged over places: on disk under a hash of the
 * network, its weights and the pixels where the context has a cache that is large enough, else in memory.
 * @param what the images are, in words, for the progress
 */
export async function averagedFeatures(
  context: Running,
  subject: Subject,
  images: Images,
  what: string,
): Promise<Features> {
  const taps = averageTaps(subject.network);
  const width = taps.dimensions.reduce((a, b) => a + b, 0);
  const bytes = images.count * width * Float32Array.BYTES_PER_ELEMENT;
  const store = context.cache && bytes <= context.cache.bytes ? diskStore(context.cache) : memoryStore();
  const chunks = chunksOf(context, subject, images);
  await computeMissing(context, subject, taps, store, chunks, what);
  return {
    count: images.count,
    dimensions: taps.dimensions,
    async at(depth) {
      const from = taps.dimensions.slice(0, depth).reduce((a, b) => a + b, 0);
      const channels = taps.dimensions[depth]!;
      const data = new Float32Array(images.count * channels);
      for (const [i, { images: some, name }] of chunks.entries()) {
        const read = () => store.read(name, some.count * from, some.count * (from + channels));
        let numbers = await read();
        // Another process may have removed the file to make room for its own.
        if (numbers === undefined) await computeMissing(context, subject, taps, store, [chunks[i]!], what);
        numbers ??= (await read())!;
        data.set(numbers, i * CHUNK * channels);
      }
      return checkFinite(tensor('float32', [images.count, channels], data), depth);
    },
  };
}

function chunksOf({ device }: Running, { hash }: Subject, images: Images): Chunk[] {
  return Array.from({ length: Math.ceil(images.count / CHUNK) }, (_, i) => {
    const some = slice(images, i * CHUNK, Math.min((i + 1) * CHUNK, images.count));
    const { count, height, width, channels } = some;
    const what = [VERSION, hash, device?.provider ?? 'cpu', count, height, width, channels, sha256(some.pixels)];
    return { images: some, name: sha256(JSON.stringify(what)) };
  });
}

async function computeMissing(
  context: Running,
  { network, weights }: Subject,
  taps: Taps,
  store: Store,
  chunks: readonly Chunk[],
  what: string,
): Promise<void> {
  const width = taps.dimensions.reduce((a, b) => a + b, 0);
  const missing: Chunk[] = [];
  for (const chunk of chunks) {
    if (!(await store.has(chunk.name, chunk.images.count * width))) missing.push(chunk);
  }
  if (missing.length === 0) return;
  const total = missing.reduce((sum, { images }) => sum + images.count, 0);
  await withGraph(context, taps.graph, weights, async (session) => {
    let done = 0;
    for (const { images, name } of missing) {
      context.progress(what, done, total);
      await store.write(name, await allDepths(session, images, taps, batchFor(network)));
      done += images.count;
    }
  });
}

async function allDepths(
  session: Pick<Session, 'run'>,
  images: Images,
  { dimensions }: Taps,
  batch: number,
): Promise<Float32Array> {
  const outputs = await runInSlices(session, { pixels: pixelsOf(images) }, batch);
  const numbers = new Float32Array(images.count * dimensions.reduce((a, b) => a + b, 0));
  let at = 0;
  for (const depth of dimensions.keys()) {
    const { data } = outputs[tapName(depth)]! as Tensor<'float32'>;
    numbers.set(data, at);
    at += data.length;
  }
  return numbers;
}

function checkFinite(features: Tensor<'float32'>, depth: number): Tensor<'float32'> {
  if (features.data.every(Number.isFinite)) return features;
  throw new AnalysisError(
    'not-finite',
    `the features after ${depth} blocks are NaN or infinite for some images: the training failed, or the weights are damaged`,
  );
}

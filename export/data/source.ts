import type { InputConfig } from '../networks/input.js';
import { type Content, DatasetError } from './dataset.js';
import type { ImageFile } from './files/files.js';
import { type Images, select } from './images.js';

type Size = Pick<InputConfig, 'height' | 'width' | 'channels'>;

/** Labelled images of one size, in memory or decoded when they are wanted. */
export interface ImageSource extends Size {
  readonly count: number;
  /** Class numbers of all images. */
  readonly labels: Uint16Array;
  /**
   * The images with the given numbers, in that order. Those that cannot be read are left out.
   * @throws DatasetError when more cannot be read than are allowed
   */
  batch(numbers: ArrayLike<number>): Promise<Images>;
  /** The images that could not be read so far. */
  readonly unreadable: readonly Unreadable[];
}

export interface Unreadable {
  readonly file: string;
  readonly reason: string;
}

/** Decodes image files to the pixels that a network takes, several at a time. */
export interface Decoder {
  /** @returns pixels of the files that can be read, one after the other, and for each file why it cannot be, or null */
  decode(files: readonly ImageFile[]): Promise<{ pixels: Uint8Array; problems: readonly (string | null)[] }>;
  close(): Promise<void>;
}

export interface SourceOptions {
  /** Most images that are skipped because they cannot be read; default: one in a hundred, and at least one. */
  readonly skip?: number | undefined;
  /** Pixels of at most so many bytes are kept in memory; more are decoded whenever they are wanted. */
  readonly memory?: number | undefined;
  /** Called while files are decoded into memory. */
  readonly progress?: ((done: number, total: number) => void) | undefined;
}

const MEMORY = 2 ** 30;
/** Files that a thread of the decoder gets at a time. */
const AT_ONCE = 16;

/** Images that are in memory. */
export const inMemory = (images: Images): ImageSource => {
  const { count, height, width, channels, labels } = images;
  return {
    count,
    height,
    width,
    channels: channels as 1 | 3,
    labels,
    unreadable: [],
    batch: async (numbers) => select(images, numbers),
  };
};

/** Some of the images of a source, by their numbers. */
export function subset(source: ImageSource, numbers: Uint32Array): ImageSource {
  const labels = Uint16Array.from(numbers, (n) => source.labels[n]!);
  const batch = (own: ArrayLike<number>) => source.batch(Uint32Array.from(own, (n) => numbers[n]!));
  return { ...source, count: numbers.length, labels, batch };
}

/**
 * The content of a data set as a network takes it.
 * @param size of the network's input
 * @throws DatasetError when pixels have another size, or too many files cannot be read
 */
export async function sourceOf(
  content: Content,
  size: Size,
  decoder: Decoder,
  options: SourceOptions = {},
): Promise<ImageSource> {
  if (content.kind === 'pixels') {
    const [wanted, found] = [sizeText(size), sizeText(content.images)];
    if (wanted === found) return inMemory(content.images);
    throw new DatasetError(
      `the network takes images of ${wanted}, the data have images of ${found} (height × width × channels). Choose another network or data set`,
    );
  }
  const streamed = decoded(content.files, content.labels, size, decoder, options.skip);
  const bytes = content.files.length * bytesOf(size);
  return bytes <= (options.memory ?? MEMORY) ? loaded(streamed, options.progress) : streamed;
}

export const sizeText = ({ height, width, channels }: Pick<Images, 'height' | 'width' | 'channels'>): string =>
  `${height} × ${width} × ${channels}`;
const bytesOf = ({ height, width, channels }: Size): number => height * width * channels;

/** Images that are decoded when they are wanted. */
function decoded(
  files: readonly ImageFile[],
  labels: Uint16Array,
  size: Size,
  decoder: Decoder,
  skip = Math.max(1, Math.floor(files.length / 100)),
): ImageSource {
  const unreadable = new Map<string, Unreadable>();
  const note = ({ name }: ImageFile, reason: string) => {
    unreadable.set(name, { file: name, reason });
    if (unreadable.size > skip) throw new DatasetError(tooMany([...unreadable.values()], files.length, skip));
  };
  return {
    count: files.length,
    ...sizeOnly(size),
    labels,
    get unreadable() {
      return [...unreadable.values()];
    },
    async batch(numbers) {
      const chunks = Array.from({ length: Math.ceil(numbers.length / AT_ONCE) }, (_, i) =>
        Array.from({ length: Math.min(AT_ONCE, numbers.length - i * AT_ONCE) }, (_, j) => numbers[i * AT_ONCE + j]!),
      );
      const results = await Promise.all(chunks.map((chunk) => decoder.decode(chunk.map((n) => files[n]!))));
      const good = chunks.flatMap((chunk, i) =>
        chunk.filter((n, j) => {
          const problem = results[i]!.problems[j]!;
          if (problem !== null) note(files[n]!, problem);
          return problem === null;
        }),
      );
      return {
        count: good.length,
        ...sizeOnly(size),
        pixels: joined(results.map(({ pixels }) => pixels)),
        labels: Uint16Array.from(good, (n) => labels[n]!),
      };
    },
  };
}

const sizeOnly = ({ height, width, channels }: Size): Size => ({ height, width, channels });

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const SHOWN = 3;

function tooMany(unreadable: readonly Unreadable[], count: number, skip: number): string {
  const first = unreadable.slice(0, SHOWN).map(({ file, reason }) => `${file}: ${reason}`);
  return (
    `more than ${skip} of ${count} images cannot be read. The first: ${first.join('; ')}. ` +
    'Repair or remove them, or allow more with --skip'
  );
}

const LOAD_BATCH = 512;

/** Decodes everything once. */
async function loaded(source: ImageSource, progress: SourceOptions['progress']): Promise<ImageSource> {
  const size = bytesOf(source);
  const pixels = new Uint8Array(source.count * size);
  const labels = new Uint16Array(source.count);
  let count = 0;
  for await (const { images, to } of batchesOf(source, LOAD_BATCH)) {
    pixels.set(images.pixels, count * size);
    labels.set(images.labels, count);
    count += images.count;
    progress?.(to, source.count);
  }
  if (count === 0) throw new DatasetError('none of the images can be read');
  const { unreadable } = source;
  const images = {
    count,
    ...sizeOnly(source),
    pixels: pixels.subarray(0, count * size),
    labels: labels.subarray(0, count),
  };
  return { ...inMemory(images), unreadable };
}

/** Batches that are decoded while an earlier one is computed. */
const AHEAD = 2;

/**
 * All images in order, `size` at a time, decoded ahead of the caller.
 * @param to the number of images up to the end of the batch, with those that cannot be read
 */
export async function* batchesOf(source: ImageSource, size: number): AsyncGenerator<{ images: Images; to: number }> {
  const waiting: { to: number; images: Promise<Images> }[] = [];
  const start = (from: number) => {
    if (from >= source.count) return;
    const to = Math.min(from + size, source.count);
    const images = source.batch(Uint32Array.from({ length: to - from }, (_, i) => from + i));
    // Its error is thrown when it is awaited. Until then Node.js must not report an unhandled rejection.
    images.catch(() => undefined);
    waiting.push({ to, images });
  };
  for (let i = 0; i <= AHEAD; i++) start(i * size);
  for (let first = waiting.shift(); first; first = waiting.shift()) {
    const images = await first.images;
    start(first.to + AHEAD * size);
    if (images.count > 0) yield { images, to: first.to };
  }
}

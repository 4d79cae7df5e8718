import { pixelsOf } from '../data/images.js';
import { batchesOf, type ImageSource } from '../data/source.js';
import type { NamedTensors, Tensor } from '../graph/tensor.js';
import type { Network } from '../networks/network.js';
import { openSession, type SessionOptions } from '../runtime/session.js';
import { slices } from '../runtime/slices.js';
import { emitInline, forwardGraph } from './graphs.js';
import type { Inversion, Measured } from './manifest.js';
import { closeGraphs, type Graphs, openGraphs } from './open.js';

/** Images in a run of Φ and of Φ⁻¹. They should differ: an inverse that needs the same batches as Φ is no inverse. */
export interface Batches {
  readonly encode: number;
  readonly decode: number;
}

/** Numbers of pixels in a run: enough for speed, few enough for the memory of deep networks at 224². */
const PIXELS_AT_ONCE = 2 ** 22;

/** As many images in a run as pay: a hundred of small ones, fewer of large ones. */
export function gainfulBatches({
  height,
  width,
  channels,
}: Pick<Network['input'], 'height' | 'width' | 'channels'>): Batches {
  const fit = (most: number, pixels: number) =>
    Math.max(1, Math.min(most, Math.floor(pixels / (height * width * channels))));
  return { encode: fit(100, PIXELS_AT_ONCE), decode: fit(64, (2 / 3) * PIXELS_AT_ONCE) };
}

export interface Measurement {
  /** Images that could be read. */
  readonly images: number;
  /** Images whose features and logits are all numbers, not NaN or infinite. */
  readonly finite: number;
  /** Images whose label has the highest score, and one of the five highest. */
  readonly correct: number;
  readonly amongFive: number;
  /** [classes, classes]: images by label (row) and by the class with the highest score (column). */
  readonly confusion: Uint32Array;
  /** null where there is no inverse. */
  readonly inversion: Inversion | null;
}

/**
 * Encodes and decodes every image, and compares the result with the network's input and with the pixels. A few batches are in
 * memory at a time.
 * @param progress is called with the number of images that are done
 * @throws DatasetError when too many images cannot be read
 */
export async function measure(
  { forward, inverse }: Graphs,
  source: ImageSource,
  batches: Batches,
  progress: (done: number) => void = () => {},
): Promise<Measurement> {
  const scores = { images: 0, finite: 0, correct: 0, amongFive: 0 };
  const back = { exactFloat: 0, exactPixels: 0, sum: 0, max: 0 };
  let confusion = new Uint32Array(0);
  for await (const { images, to } of batchesOf(source, batches.encode)) {
    const pixels = pixelsOf(images);
    const outputs = await forward.run({ pixels });
    const classes = outputs.logits!.dims[1]!;
    if (confusion.length === 0) confusion = new Uint32Array(classes * classes);
    for (let n = 0; n < images.count; n++) {
      const { best, place } = rank(numbers(outputs.logits!, n), images.labels[n]!);
      scores.images++;
      if (place === 0) scores.correct++;
      if (place < 5) scores.amongFive++;
      confusion[images.labels[n]! * classes + best]!++;
      if (allFinite(numbers(outputs.features!, n)) && allFinite(numbers(outputs.logits!, n))) scores.finite++;
    }
    if (inverse) {
      const given = { pixels, image: outputs.image! };
      for await (const { from, to, outputs: decoded } of slices(
        inverse,
        { features: outputs.features! },
        batches.decode,
      ))
        compare(back, given, decoded as Record<'pixels' | 'image', Tensor>, from, to);
    }
    progress(to);
  }
  const { exactFloat, exactPixels, sum, max } = back;
  const inversion = { exactFloat, exactPixels, relativeErrorMean: sum / scores.images, relativeErrorMax: max };
  return { ...scores, confusion, inversion: inverse ? inversion : null };
}

type Pictures = Readonly<Record<'pixels' | 'image', Tensor>>;

/** Counts which of the images [from, to) came back, and adds up their errors. */
function compare(
  totals: { exactFloat: number; exactPixels: number; sum: number; max: number },
  given: Pictures,
  decoded: Pictures,
  from: number,
  to: number,
): void {
  for (let n = from; n < to; n++) {
    const image = numbers<Float32Array>(given.image, n);
    const back = numbers<Float32Array>(decoded.image, n - from);
    const error = relativeError(image, back);
    if (equalNumbers(image, back)) totals.exactFloat++;
    if (equalNumbers(numbers(given.pixels, n), numbers(decoded.pixels, n - from))) totals.exactPixels++;
    totals.sum += error;
    totals.max = Math.max(totals.max, error);
  }
}

export interface MeasureOptions {
  /** What the images are, in words. */
  readonly data: string;
  /** Whether their labels mean anything. */
  readonly labelled: boolean;
  readonly batches: Batches;
  readonly threads: number;
}

/** The features or logits of a model are NaN or infinite. */
export class NotFiniteError extends Error {
  override readonly name = 'NotFiniteError';
}

/**
 * Measures the graphs of a model folder.
 * @returns what its manifest says of it
 * @throws NotFiniteError when features or logits are NaN or infinite
 */
export async function measureFolder(folder: string, source: ImageSource, options: MeasureOptions): Promise<Measured> {
  const graphs = await openGraphs(folder, options.threads);
  try {
    const { images, finite, correct, inversion } = await measure(graphs, source, options.batches);
    if (finite < images) {
      const some = `${images - finite} of ${images} images (${options.data})`;
      throw new NotFiniteError(
        `Φ gives NaN or infinite numbers for ${some}: the training failed, or the weights are damaged`,
      );
    }
    const accuracy = options.labelled ? correct / images : null;
    return { data: options.data, images, accuracy, inversion };
  } finally {
    await closeGraphs(graphs);
  }
}

const ACCURACY_BATCH = 250;

/** The share of images whose label has the highest score, by running statistics. There must be an image. */
export async function accuracyOf(
  network: Network,
  weights: NamedTensors,
  source: ImageSource,
  options: SessionOptions,
): Promise<number> {
  const session = await openSession(emitInline(forwardGraph(network), weights), options);
  try {
    let [correct, count] = [0, 0];
    for await (const { images } of batchesOf(source, ACCURACY_BATCH)) {
      const { logits } = await session.run({ pixels: pixelsOf(images) }, ['logits']);
      for (let n = 0; n < images.count; n++) if (rank(numbers(logits!, n), images.labels[n]!).place === 0) correct++;
      count += images.count;
    }
    return correct / count;
  } finally {
    await session.release();
  }
}

type Numbers = Float32Array | Uint8Array;

/** The numbers of row n. */
const numbers = <T extends Numbers>({ data, dims }: Tensor, n: number): T => {
  const size = data.length / dims[0]!;
  return (data as T).subarray(n * size, (n + 1) * size) as T;
};

/** The class with the highest score, the first of equal ones, and how many classes come before the label. */
function rank(scores: Float32Array, label: number): { best: number; place: number } {
  let [best, place] = [0, 0];
  const own = scores[label]!;
  for (let i = 0; i < scores.length; i++) {
    if (scores[i]! > scores[best]!) best = i;
    if (i !== label && !(own > scores[i]! || (own === scores[i]! && label < i))) place++;
  }
  return { best, place };
}

// Loops rather than `every`: at 224² that would take a tenth of the time of the network.

function allFinite(values: Numbers): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}

/** Equal float32 numbers have equal bits, except −0 and 0, which are the same number. NaN is equal to nothing. */
function equalNumbers(a: Numbers, b: Numbers): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}

/** ‖a − b‖₂ / ‖a‖₂. */
export function relativeError(a: Float32Array, b: Float32Array): number {
  let [difference, norm] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const d = a[i]! - b[i]!;
    difference += d * d;
    norm += a[i]! * a[i]!;
  }
  return Math.sqrt(difference / norm);
}

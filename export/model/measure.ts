import { type Images, pixelsOf } from '../data/images.js';
import { rows } from '../graph/rows.js';
import type { NamedTensors, Tensor } from '../graph/tensor.js';
import type { Network } from '../networks/network.js';
import { openSession } from '../runtime/session.js';
import { runInSlices, slices } from '../runtime/slices.js';
import { emitInline, forwardGraph } from './graphs.js';
import type { Inversion, Measured } from './manifest.js';
import { closeGraphs, type Graphs, openGraphs } from './open.js';

/** Images in a run of Φ and of Φ⁻¹. They should differ: an inverse that needs the same batches as Φ is no inverse. */
export interface Batches {
  readonly encode: number;
  readonly decode: number;
}

export interface Measurement {
  readonly images: number;
  /** Images whose features and logits are all numbers, not NaN or infinite. */
  readonly finite: number;
  /** Images whose label has the highest score. */
  readonly correct: number;
  /** null where there is no inverse. */
  readonly inversion: Inversion | null;
}

/**
 * Encodes and decodes every image, and compares the result with the network's input and with the pixels.
 * @param progress is called with the number of images that are done
 */
export async function measure(
  { forward, inverse }: Graphs,
  images: Images,
  batches: Batches,
  progress: (done: number) => void = () => {},
): Promise<Measurement> {
  const pixels = pixelsOf(images);
  let [finite, correct, exactFloat, exactPixels, sum, max] = [0, 0, 0, 0, 0, 0];
  for await (const { from, to, outputs } of slices(forward, { pixels }, batches.encode)) {
    correct += countCorrect(outputs.logits!, images.labels.subarray(from, to));
    for (let n = 0; n < to - from; n++) if (allFinite(outputs, n)) finite++;
    const decoded = inverse && (await runInSlices(inverse, { features: outputs.features! }, batches.decode));
    for (let n = 0; decoded && n < to - from; n++) {
      const [image, back] = [rows(outputs.image!, n, n + 1), rows(decoded.image!, n, n + 1)];
      const error = relativeError(image.data as Float32Array, back.data as Float32Array);
      if (equalNumbers(image, back)) exactFloat++;
      if (equalNumbers(rows(pixels, from + n, from + n + 1), rows(decoded.pixels!, n, n + 1))) exactPixels++;
      sum += error;
      max = Math.max(max, error);
    }
    progress(to);
  }
  const inversion = { exactFloat, exactPixels, relativeErrorMean: sum / images.count, relativeErrorMax: max };
  return { images: images.count, finite, correct, inversion: inverse ? inversion : null };
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
export async function measureFolder(folder: string, images: Images, options: MeasureOptions): Promise<Measured> {
  const graphs = await openGraphs(folder, options.threads);
  try {
    const { finite, correct, inversion } = await measure(graphs, images, options.batches);
    if (finite < images.count) {
      const some = `${images.count - finite} of ${images.count} images (${options.data})`;
      throw new NotFiniteError(
        `Φ gives NaN or infinite numbers for ${some}: the training failed, or the weights are damaged`,
      );
    }
    const accuracy = options.labelled ? correct / images.count : null;
    return { data: options.data, images: images.count, accuracy, inversion };
  } finally {
    await closeGraphs(graphs);
  }
}

const ACCURACY_BATCH = 250;

/** The share of images whose label has the highest score, by running statistics. There must be an image. */
export async function accuracyOf(
  network: Network,
  weights: NamedTensors,
  images: Images,
  threads: number,
): Promise<number> {
  const session = await openSession(emitInline(forwardGraph(network), weights), { threads });
  try {
    const { logits } = await runInSlices(session, { pixels: pixelsOf(images) }, ACCURACY_BATCH, ['logits']);
    return countCorrect(logits!, images.labels) / images.count;
  } finally {
    await session.release();
  }
}

/** How many rows of the logits [N, classes] are largest at the label. */
function countCorrect({ data, dims }: Tensor, labels: Uint16Array): number {
  const classes = dims[1]!;
  return labels.reduce((correct, label, n) => {
    const row = (data as Float32Array).subarray(n * classes, (n + 1) * classes);
    return correct + Number(row.indexOf(Math.max(...row)) === label);
  }, 0);
}

/** Whether the features and logits of an image are all finite. */
const allFinite = ({ features, logits }: Readonly<Record<string, Tensor>>, n: number): boolean =>
  [features!, logits!].every((output) => (rows(output, n, n + 1).data as Float32Array).every(Number.isFinite));

/** Equal float32 numbers have equal bits, except −0 and 0, which are the same number. NaN is equal to nothing. */
const equalNumbers = (a: Tensor, b: Tensor): boolean =>
  (a.data as Float32Array).every((v, i) => v === (b.data as Float32Array)[i]);

/** ‖a − b‖₂ / ‖a‖₂. */
export function relativeError(a: Float32Array, b: Float32Array): number {
  let [difference, norm] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    norm += a[i]! ** 2;
  }
  return Math.sqrt(difference / norm);
}

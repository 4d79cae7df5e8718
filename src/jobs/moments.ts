import { input } from '../../export/graph/graph.js';
import { matmul } from '../../export/graph/ops/matmul.js';
import { transpose } from '../../export/graph/ops/movement.js';
import { sizeOf, tensor } from '../../export/graph/tensor.js';
import { emitInline } from '../../export/model/graphs.js';
import { openSession } from '../../export/runtime/session.js';

// Mean and covariance in one pass over the rows of a job, in float64, by Chan, Golub & LeVeque, Algorithms for computing the
// sample variance (The American Statistician 37, 1983): the first row is subtracted from all, rows are taken in groups, each
// group is centred on its own mean before products are summed, and groups are combined one after the other.
//
// Accuracy: no difference of large sums is taken, and means are at most of the size of deviations. So digits are not lost when
// a mean is large against the deviation σ: entry i, j of the covariance of N rows is off by at most about N · 2^-53 · σᵢ · σⱼ,
// and usually by far less.
//
// Reproducibility: groups are counted from the first row of the merged result, and one thread computes all products. The
// result depends on the rows and on the kind of CPU that merges, and not on parts, shards or batches.

/** Rows in a group. */
const GROUP = 1024;

export interface Statistics {
  readonly rows: number;
  /** float64 [C]; NaN of no rows. */
  readonly mean: Float64Array;
  /** float64 [C, C], divided by N − 1; NaN of fewer than two rows. */
  readonly covariance: Float64Array;
}

/** Collects the mean and the covariance of features that are averaged over their places. */
export interface Moments {
  /** Takes the next rows, float32 [N, C, H, W]. */
  add(features: Float32Array): Promise<void>;
  /** Called once, after the last row. */
  finish(): Promise<Statistics>;
  close(): Promise<void>;
}

/** @param shape of a row, [C, H, W] */
export async function openMoments(shape: readonly number[]): Promise<Moments> {
  const channels = shape[0]!;
  const places = sizeOf(shape.slice(1));
  const products = await openProducts(channels);
  const group = new Float64Array(GROUP * channels);
  let origin: Float64Array | undefined;
  /** Of the rows less the origin. */
  const mean = new Float64Array(channels);
  /** Σ (x − mean) (x − mean)ᵀ over all complete groups; only the entries i ≤ j. */
  const scatter = new Float64Array(channels ** 2);
  let [rows, waiting] = [0, 0];

  const closeGroup = async () => {
    if (waiting === 0) return;
    const data = group.subarray(0, waiting * channels);
    const centre = centred(data, channels);
    const within = await products.of(data);
    const delta = centre.map((value, c) => value - mean[c]!);
    const weight = (rows * waiting) / (rows + waiting);
    const share = waiting / (rows + waiting);
    for (let i = 0; i < channels; i++) {
      for (let j = i; j < channels; j++) {
        scatter[i * channels + j]! += within[i * channels + j]! + weight * delta[i]! * delta[j]!;
      }
      mean[i]! += share * delta[i]!;
    }
    rows += waiting;
    waiting = 0;
  };

  return {
    async add(features) {
      const size = channels * places;
      for (let at = 0; at < features.length; at += size) {
        const row = group.subarray(waiting * channels, (waiting + 1) * channels);
        averagePlaces(features.subarray(at, at + size), row, places);
        origin ??= row.slice();
        for (let c = 0; c < channels; c++) row[c]! -= origin[c]!;
        if (++waiting === GROUP) await closeGroup();
      }
    },
    async finish() {
      await closeGroup();
      const covariance = new Float64Array(channels ** 2);
      for (let i = 0; i < channels; i++) {
        for (let j = i; j < channels; j++) {
          const value = rows < 2 ? Number.NaN : scatter[i * channels + j]! / (rows - 1);
          covariance[i * channels + j] = value;
          covariance[j * channels + i] = value;
        }
      }
      return { rows, mean: mean.map((value, c) => value + (origin?.[c] ?? Number.NaN)), covariance };
    },
    close: products.close,
  };
}

/** Writes the averages of channels [C, H, W] over their places into `row`, [C]. */
function averagePlaces(features: Float32Array, row: Float64Array, places: number): void {
  for (let c = 0; c < row.length; c++) {
    let sum = 0;
    for (let p = 0; p < places; p++) sum += features[c * places + p]!;
    row[c] = sum / places;
  }
}

/** Subtracts the mean of the rows [N, C] from each of them, in place, and returns it. */
function centred(data: Float64Array, channels: number): Float64Array {
  const mean = new Float64Array(channels);
  for (let k = 0; k < data.length; k++) mean[k % channels]! += data[k]!;
  for (let c = 0; c < channels; c++) mean[c]! /= data.length / channels;
  for (let k = 0; k < data.length; k++) data[k]! -= mean[k % channels]!;
  return mean;
}

/** Σₙ xₙ xₙᵀ of rows [N, C] as float64 [C, C], by ONNX Runtime. */
async function openProducts(channels: number) {
  const x = input('x', 'float64', ['N', channels]);
  const graph = { name: 'products', inputs: [x], outputs: { products: matmul(transpose(x, [1, 0]), x) } };
  // With more threads the order of additions would depend on their number.
  const session = await openSession(emitInline(graph, new Map()), { threads: 1 });
  return {
    async of(data: Float64Array): Promise<Float64Array> {
      const { products } = await session.run({ x: tensor('float64', [data.length / channels, channels], data) });
      return products!.data as Float64Array;
    },
    close: () => session.release(),
  };
}

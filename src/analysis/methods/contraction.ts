import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import type { Tensor } from '../../../export/graph/tensor.js';
import type { Context } from '../context.js';
import { componentVariances, moments } from './components.js';
import { nearest } from './nearest.js';
import { scalingOf } from './standardise.js';

type Rows = Tensor<'float32'>;
type Running = Pick<Context, 'threads' | 'device' | 'signal' | 'progress'>;

/** Means of the classes, and how far their members lie from them. */
export interface ClassMoments {
  /** The classes that have images, in the order of `means`. */
  readonly classes: readonly number[];
  readonly counts: Float64Array;
  /** One row a class, [classes][d]. */
  readonly means: readonly Float64Array[];
  /** Σ |x − mean|² of every class. */
  readonly scatter: Float64Array;
}

/** Means and scatters of the classes of rows [n, d]. */
export function classMoments({ dims, data }: Rows, labels: Uint16Array): ClassMoments {
  const d = dims[1]!;
  const classes = [...new Set(labels)].sort((a, b) => a - b);
  const place = new Map(classes.map((label, i) => [label, i]));
  const counts = new Float64Array(classes.length);
  for (const label of labels) counts[place.get(label)!]!++;
  const means = classes.map(() => new Float64Array(d));
  for (const [i, label] of labels.entries()) {
    const k = place.get(label)!;
    for (let j = 0; j < d; j++) means[k]![j]! += data[i * d + j]! / counts[k]!;
  }
  const scatter = new Float64Array(classes.length);
  for (const [i, label] of labels.entries()) {
    const k = place.get(label)!;
    for (let j = 0; j < d; j++) scatter[k]! += (data[i * d + j]! - means[k]![j]!) ** 2;
  }
  return { classes, counts, means, scatter };
}

/**
 * The mean squared distance of two images of one class over that of two images of different classes, over all pairs.
 * A class's pairs follow from its scatter: Σ over pairs of |a − b|² = n Σ |x − mean|².
 */
export function withinOverBetween({ counts, means, scatter }: ClassMoments): number {
  let [within, pairs, between, others] = [0, 0, 0, 0];
  for (const [i, n] of counts.entries()) {
    within += n * scatter[i]!;
    pairs += (n * (n - 1)) / 2;
    for (let k = 0; k < i; k++) {
      const m = counts[k]!;
      between += m * scatter[i]! + n * scatter[k]! + n * m * squaredDistance(means[i]!, means[k]!);
      others += n * m;
    }
  }
  return within / pairs / (between / others);
}

function squaredDistance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += (a[j]! - b[j]!) ** 2;
  return sum;
}

/** How many directions carry the variance: (Σλ)² / Σλ², and exp(−Σ p log p) with p = λ / Σλ. */
export function effectiveRanks(variances: ArrayLike<number>): { participation: number; entropy: number } {
  let [sum, squares] = [0, 0];
  for (const v of Array.from(variances)) {
    sum += v;
    squares += v * v;
  }
  let entropy = 0;
  for (const v of Array.from(variances)) if (v > 0) entropy -= (v / sum) * Math.log(v / sum);
  return { participation: (sum * sum) / squares, entropy: Math.exp(entropy) };
}

/** Rows less the mean of their class, or of all. */
export function centred({ type, dims, data }: Rows, meanOf: (row: number) => Float64Array): Rows {
  const d = dims[1]!;
  const out = new Float32Array(data.length);
  for (let i = 0; i < dims[0]!; i++) {
    const mean = meanOf(i);
    for (let j = 0; j < d; j++) out[i * d + j] = data[i * d + j]! - mean[j]!;
  }
  return { type, dims, data: out };
}

/** Variances along the principal components of rows. */
export async function variancesOf(context: Running, rows: Rows): Promise<Float64Array> {
  const { mean } = scalingOf(rows);
  return componentVariances(
    context,
    centred(rows, () => mean),
  );
}

/** Added to the within-class covariance, as a share of its mean variance: directions without any variance count for nothing. */
const RIDGE = 1e-6;

/** The within-class scatter as Sw = L Lᵀ, by which features are whitened. */
export interface Whitening {
  /** L⁻¹ of rows [k, d] as columns: [d, k]. */
  whiten(rows: readonly Float64Array[]): Matrix;
}

/** The within-class covariance of rows, decomposed. @param rows [n, d] */
export async function withinClass(
  context: Running,
  rows: Rows,
  labels: Uint16Array,
  { classes, means }: ClassMoments,
): Promise<Whitening> {
  const place = new Map(classes.map((label, i) => [label, i]));
  const residuals = centred(rows, (i) => means[place.get(labels[i]!)!]!);
  const within = Matrix.mul(await moments(context, residuals), 1 / labels.length);
  const ridge = (RIDGE * within.trace()) / within.rows || 1;
  const lower = new CholeskyDecomposition(Matrix.add(within, Matrix.eye(within.rows).mul(ridge))).lowerTriangularMatrix;
  return { whiten: (some) => forwardSubstitution(lower, some) };
}

/** L⁻¹ b for every b. */
function forwardSubstitution(lower: Matrix, columns: readonly Float64Array[]): Matrix {
  const d = lower.rows;
  const solved = new Matrix(d, columns.length);
  const rows = lower.to2DArray();
  for (const [k, b] of columns.entries()) {
    const x = new Float64Array(d);
    for (let i = 0; i < d; i++) {
      let sum = b[i]!;
      const row = rows[i]!;
      for (let j = 0; j < i; j++) sum -= row[j]! * x[j]!;
      x[i] = sum / row[i]!;
      solved.set(i, k, x[i]!);
    }
  }
  return solved;
}

/** tr(Sw⁻¹ Sb) = Σ nₖ/n |L⁻¹(mean of class k − mean of all)|²: between-class over within-class variance after whitening. */
export function separation({ counts, means }: ClassMoments, { whiten }: Whitening): number {
  const n = counts.reduce((a, b) => a + b, 0);
  const all = means[0]!.map((_, j) => means.reduce((sum, mean, k) => sum + (counts[k]! / n) * mean[j]!, 0));
  const whitened = whiten(means.map((mean) => mean.map((v, j) => v - all[j]!)));
  return Array.from(counts, (count, k) => (count / n) * squaredNorm(whitened, k)).reduce((a, b) => a + b, 0);
}

function squaredNorm(m: Matrix, column: number): number {
  let sum = 0;
  for (let i = 0; i < m.rows; i++) sum += m.get(i, column) ** 2;
  return sum;
}

/** The class with the nearest mean for every row. */
export function nearestMean({ dims, data }: Rows, { classes, means }: ClassMoments): Uint16Array {
  const d = dims[1]!;
  return Uint16Array.from({ length: dims[0]! }, (_, i) => {
    const row = Float64Array.from(data.subarray(i * d, (i + 1) * d));
    const distances = means.map((mean) => squaredDistance(row, mean));
    return classes[distances.indexOf(Math.min(...distances))]!;
  });
}

/**
 * The class with the nearest mean after whitening, for every row: with w = Sw⁻¹ mean, the largest of w·x − w·mean / 2.
 */
export function nearestWhitenedMean(rows: Rows, { classes, means }: ClassMoments, { whiten }: Whitening): Uint16Array {
  const d = rows.dims[1]!;
  const whitened = whiten(means);
  const unit = Array.from({ length: d }, (_, j) => Float64Array.from({ length: d }, (_, i) => Number(i === j)));
  // Sw⁻¹ mean = L⁻ᵀ (L⁻¹ mean)
  const weights = whiten(unit).transpose().mmul(whitened);
  const halves = means.map((_, k) => squaredNorm(whitened, k) / 2);
  const columns = classes.map((_, k) => Float64Array.from(weights.getColumn(k)));
  return Uint16Array.from({ length: rows.dims[0]! }, (_, i) => {
    const scores = columns.map((w, k) => {
      let sum = -halves[k]!;
      for (let j = 0; j < d; j++) sum += w[j]! * rows.data[i * d + j]!;
      return sum;
    });
    return classes[scores.indexOf(Math.max(...scores))]!;
  });
}

/** The share of the largest ratios that TwoNN leaves out: they are the noisiest. */
const DISCARDED = 0.1;

/**
 * The intrinsic dimension by TwoNN: with μ the distance to the second nearest over that to the nearest, −log(1 − F(μ)) is
 * d log μ, fitted through the origin. Facco, d'Errico, Rodriguez, Laio 2017. NaN where too few images differ.
 */
export async function twoNearest(context: Running, rows: Rows): Promise<number> {
  const { places, distances } = await nearest(context, rows, rows, Math.min(4, rows.dims[0]!));
  const k = distances.length / rows.dims[0]!;
  const ratios: number[] = [];
  for (let i = 0; i < rows.dims[0]!; i++) {
    // Itself and its copies have distance 0.
    const apart = Array.from({ length: k }, (_, j) => i * k + j).filter((j) => places[j] !== i && distances[j]! > 0);
    if (apart.length >= 2) ratios.push(distances[apart[1]!]! / distances[apart[0]!]!);
  }
  ratios.sort((a, b) => a - b);
  const kept = Math.floor(ratios.length * (1 - DISCARDED));
  let [xy, xx] = [0, 0];
  for (let i = 0; i < kept; i++) {
    const [x, y] = [Math.log(ratios[i]!), -Math.log(1 - (i + 1) / ratios.length)];
    xy += x * y;
    xx += x * x;
  }
  return xy / xx;
}

import type { Matrix } from 'ml-matrix';
import { constant, type Graph, input } from '../../../export/graph/graph.js';
import { matmul } from '../../../export/graph/ops/matmul.js';
import { type Tensor, tensor } from '../../../export/graph/tensor.js';
import { runInSlices } from '../../../export/runtime/slices.js';
import { type Context, noWeights, withGraph } from '../context.js';
import { rotated, withOnes } from './rotate.js';
import { withProblems } from './svm-problems.js';

type Rows = Tensor<'float32'>;
type Running = Pick<Context, 'threads' | 'device' | 'signal' | 'progress'>;

/** The values of C that are tried, smallest first. */
export const STRENGTHS = [1e-3, 1e-2, 1e-1, 1, 10] as const;
export const FOLDS = 5;

export interface LinearSvm {
  readonly c: number;
  /** The share of held-out training images that are classified correctly, for each of `STRENGTHS`. */
  readonly validation: readonly number[];
  /** The class of every row of [n, d]. */
  classify(rows: Rows): Promise<Uint16Array>;
}

/**
 * A linear SVM as scikit-learn's LinearSVC: one class against the rest, min over w of
 * ½|w|² + C Σ max(0, 1 − y w·[x, 1])², so that the intercept is penalised as a weight is. C is the one of `STRENGTHS` with
 * the best accuracy in cross-validation over five folds, each with its share of every class; of equally good ones the smallest.
 * @param rows standardised features [n, d] of at least five images
 * @param labels of at least two classes
 */
export async function fitLinearSvm(context: Running, rows: Rows, labels: Uint16Array): Promise<LinearSvm> {
  const classes = [...new Set(labels)].sort((a, b) => a - b);
  const data = await rotated(context, rows);
  const tried = await validate(context, data.rows, labels, classes);
  const best = tried.reduce((a, b) => (b.correct > a.correct ? b : a));
  const signs = signsOf(labels, classes);
  const points = await withProblems(context, data.rows, signs, ({ solve }) => solve(best.c, best.starts));
  const weights = data.unrotate(points);
  return {
    c: best.c,
    validation: tried.map(({ correct }) => correct / labels.length),
    classify: (some) => classify(context, weights, classes, some),
  };
}

/** What cross-validation found for a value of C. */
interface Tried {
  readonly c: number;
  /** Images that were classified correctly while they were held out. */
  correct: number;
  /** The mean of the solutions over the folds, one a class. */
  readonly starts: readonly Float64Array[];
}

/** Solves the problems of all classes and folds for every C, each C starting from the solutions of the one before. */
async function validate(
  context: Running,
  rows: Rows,
  labels: Uint16Array,
  classes: readonly number[],
): Promise<readonly Tried[]> {
  const [n, d] = rows.dims as [number, number];
  const folds = foldsOf(labels);
  const tried = STRENGTHS.map((c): Tried => ({ c, correct: 0, starts: classes.map(() => new Float64Array(d)) }));
  const together = Math.max(1, Math.floor(MARGINS / (n * classes.length)));
  for (let first = 0; first < FOLDS; first += together) {
    const without = Array.from({ length: Math.min(together, FOLDS - first) }, (_, i) => first + i);
    const signs = joinColumns(without.map((fold) => signsOf(labels, classes, folds, fold)));
    await withProblems(context, rows, signs, async ({ solve, scores }) => {
      let points: readonly Float64Array[] | undefined;
      for (const [i, one] of tried.entries()) {
        context.progress('values of C in cross-validation', first * tried.length + i, FOLDS * tried.length);
        points = await solve(one.c, points);
        for (const [p, point] of points.entries()) addTo(one.starts[p % classes.length]!, point, 1 / FOLDS);
        one.correct += countHeldOut(await scores(points), labels, classes, folds, without);
      }
    });
  }
  return tried;
}

/** Margins of images and problems that are computed at a time: what bounds the memory. */
const MARGINS = 2 ** 24;

/** The fold of every image: images of a class go to the folds in turn. */
function foldsOf(labels: Uint16Array): Uint8Array {
  const seen = new Map<number, number>();
  return Uint8Array.from(labels, (label) => {
    const before = seen.get(label) ?? 0;
    seen.set(label, before + 1);
    return before % FOLDS;
  });
}

/** [n, classes]: 1 where an image is of the class, else −1; 0 where its fold is left out. */
function signsOf(labels: Uint16Array, classes: readonly number[], folds?: Uint8Array, without?: number): Rows {
  const signs = new Float32Array(labels.length * classes.length);
  for (const [i, label] of labels.entries()) {
    if (folds !== undefined && folds[i] === without) continue;
    for (const [k, one] of classes.entries()) signs[i * classes.length + k] = label === one ? 1 : -1;
  }
  return tensor('float32', [labels.length, classes.length], signs);
}

/** [n, a], [n, b], … → [n, a + b + …] */
function joinColumns(parts: readonly Rows[]): Rows {
  const n = parts[0]!.dims[0]!;
  const width = parts.reduce((sum, { dims }) => sum + dims[1]!, 0);
  const joined = new Float32Array(n * width);
  let at = 0;
  for (const { dims, data } of parts) {
    const columns = dims[1]!;
    for (let i = 0; i < n; i++) joined.set(data.subarray(i * columns, (i + 1) * columns), i * width + at);
    at += columns;
  }
  return tensor('float32', [n, width], joined);
}

/** Images that are classified correctly by the problems that left them out. @param scores [n, folds × classes] */
function countHeldOut(
  scores: Float32Array,
  labels: Uint16Array,
  classes: readonly number[],
  folds: Uint8Array,
  without: readonly number[],
): number {
  const width = without.length * classes.length;
  return labels.reduce((count, label, i) => {
    const group = without.indexOf(folds[i]!);
    const from = i * width + group * classes.length;
    return count + Number(group >= 0 && classes[largest(scores.subarray(from, from + classes.length))] === label);
  }, 0);
}

/** Rows classified at a time. */
const BLOCK = 4096;

async function classify(
  context: Running,
  weights: Matrix,
  classes: readonly number[],
  rows: Rows,
): Promise<Uint16Array> {
  const { rows: columns, columns: count } = weights;
  const x = input('x', 'float32', ['N', columns]);
  const w = constant(tensor('float32', [columns, count], weights.to1DArray()));
  const graph: Graph = { name: 'scores', inputs: [x], outputs: { scores: matmul(x, w) } };
  const { scores } = await withGraph(context, graph, noWeights, (session) =>
    runInSlices(session, { x: withOnes(rows) }, BLOCK),
  );
  const data = scores!.data as Float32Array;
  return Uint16Array.from(
    { length: rows.dims[0]! },
    (_, i) => classes[largest(data.subarray(i * count, (i + 1) * count))]!,
  );
}

/** The place of the largest number; the first of equal ones. */
const largest = (values: Float32Array): number => values.reduce((best, v, i) => (v > values[best]! ? i : best), 0);

const addTo = (sum: Float64Array, term: Float64Array, factor: number): void => {
  for (let i = 0; i < sum.length; i++) sum[i]! += factor * term[i]!;
};

import { grad } from '../../../export/graph/grad.js';
import { type Graph, input } from '../../../export/graph/graph.js';
import { reduceSum } from '../../../export/graph/ops/broadcast.js';
import { add, mul, relu, square, sub } from '../../../export/graph/ops/elementwise.js';
import { matmul } from '../../../export/graph/ops/matmul.js';
import { type Tensor, tensor } from '../../../export/graph/tensor.js';
import { type Context, noWeights, withGraph } from '../context.js';
import { minimise } from './minimise.js';

type Rows = Tensor<'float32'>;

/** Problems of one class against the rest, which are solved together. */
export interface Problems {
  /** The minimum of every problem. @param starts one point a problem; default: zeros */
  solve(c: number, starts?: readonly Float64Array[]): Promise<readonly Float64Array[]>;
  /** w·x of every row and problem, [n, problems]. */
  scores(points: readonly Float64Array[]): Promise<Float32Array>;
}

/** The gradient at the minimum, as a share of the first one. Accuracy does not change beyond. */
const TOLERANCE = 1e-3;
/** The share of the loss that a step must gain. */
const IMPROVEMENT = 1e-5;
const EVALUATIONS = 300;

/** The share of images within the margin at a minimum, about. It tells the curvature of the loss beside that of the penalty. */
const WITHIN_MARGIN = 0.2;

/**
 * Opens the problems min over w of ½|w|² + C Σ max(0, |y| − y w·x)² for as long as `use` takes.
 * @param rows x, [n, d]
 * @param signs y, [n, problems]: 1 or −1; an image with 0 takes no part
 */
export async function withProblems<T>(
  context: Pick<Context, 'threads' | 'device' | 'signal'>,
  rows: Rows,
  signs: Rows,
  use: (problems: Problems) => Promise<T>,
): Promise<T> {
  const [d, count] = [rows.dims[1]!, signs.dims[1]!];
  const curvature = squaresOf(rows);
  return withGraph(context, lossGraph(rows.dims, signs.dims), noWeights, (session) =>
    use({
      async solve(c, starts = Array.from({ length: count }, () => new Float64Array(d))) {
        const scale = curvature.map((v) => 1 / (1 + 2 * c * WITHIN_MARGIN * v));
        const evaluate = async (points: readonly Float64Array[]) => {
          const feeds = { rows, signs, w: packed(points, d), c: tensor('float32', [], [c]) };
          const { values, gradient } = await session.run(feeds, ['values', 'gradient']);
          return {
            values: values!.data as Float32Array,
            gradients: unpacked(gradient!.data as Float32Array, d, count),
          };
        };
        const options = {
          tolerance: TOLERANCE,
          improvement: IMPROVEMENT,
          evaluations: EVALUATIONS,
          scale,
        };
        return (await minimise(starts, evaluate, options)).points;
      },
      async scores(points) {
        const feeds = { rows, signs, w: packed(points, d), c: tensor('float32', [], [0]) };
        return (await session.run(feeds, ['scores'])).scores!.data as Float32Array;
      },
    }),
  );
}

/** rows [n, d], signs [n, problems], w [d, problems], c → the value of every problem, the gradient [d, problems], and scores [n, problems]. */
function lossGraph([n, d]: readonly number[], [, count]: readonly number[]): Graph {
  const rows = input('rows', 'float32', [n!, d!]);
  const signs = input('signs', 'float32', [n!, count!]);
  const w = input('w', 'float32', [d!, count!]);
  const c = input('c', 'float32', []);
  const scores = matmul(rows, w);
  const short = relu(sub(square(signs), mul(signs, scores)));
  const values = add(mul(reduceSum(square(w), [0]), 0.5), mul(reduceSum(square(short), [0]), c));
  const [gradient] = grad(reduceSum(values, [0]), [w]);
  return { name: 'svm', inputs: [rows, signs, w, c], outputs: { values, gradient: gradient!, scores } };
}

/** Σ x² of every column. */
function squaresOf({ dims, data }: Rows): Float64Array {
  const d = dims[1]!;
  const sums = new Float64Array(d);
  for (let i = 0; i < data.length; i++) sums[i % d]! += data[i]! ** 2;
  return sums;
}

/** Points, one a problem, as columns [d, problems]; and back. */
function packed(points: readonly Float64Array[], d: number): Rows {
  const data = new Float32Array(d * points.length);
  for (const [k, point] of points.entries()) for (let j = 0; j < d; j++) data[j * points.length + k] = point[j]!;
  return tensor('float32', [d, points.length], data);
}
const unpacked = (data: Float32Array, d: number, count: number): Float64Array[] =>
  Array.from({ length: count }, (_, k) => Float64Array.from({ length: d }, (_, j) => data[j * count + k]!));

import { Matrix, QrDecomposition } from 'ml-matrix';
import { seeded } from '../../../export/data/random.js';
import { type Graph, input } from '../../../export/graph/graph.js';
import { cast } from '../../../export/graph/ops/elementwise.js';
import { matmul } from '../../../export/graph/ops/matmul.js';
import { transpose } from '../../../export/graph/ops/movement.js';
import { type Tensor, tensor, transposed } from '../../../export/graph/tensor.js';
import type { Session } from '../../../export/runtime/session.js';
import { type Context, noWeights, withGraph } from '../context.js';
import { matrixOf, spectrumOf } from './matrix.js';

type Rows = Tensor<'float32'>;
type Running = Pick<Context, 'threads' | 'device' | 'signal'>;

/** Principal components of some rows. */
export interface Components {
  /** Variance along each component, largest first (over n − 1). */
  readonly variances: Float64Array;
  /** The sum over all components, those included that were not computed. */
  readonly total: number;
  /** [d, components] */
  readonly vectors: Matrix;
}

/** Wider rows get only their leading components, by a randomised method. */
const WIDEST = 1024;
const LEADING = 256;
const OVERSAMPLING = 16;
const POWER_ITERATIONS = 4;
const SEED = 1;

/** Principal components of centred rows [n, d]: all of up to 1,024 columns, else the 256 leading ones. */
export async function componentsOf(context: Running, centred: Rows): Promise<Components> {
  const [n, d] = centred.dims as [number, number];
  const total = centred.data.reduce((sum, v) => sum + v * v, 0) / (n - 1);
  if (d > WIDEST) return { ...(await leading(context, centred, Math.min(LEADING, n, d))), total };
  const { values, vectors } = spectrumOf(Matrix.mul(await moments(context, centred), 1 / (n - 1)));
  return { variances: values.map((v) => Math.max(0, v)), total, vectors };
}

/** Variances along the principal components of centred rows [n, d], by the smaller of xᵀ x and x xᵀ: their eigenvalues agree. */
export async function componentVariances(context: Running, centred: Rows): Promise<Float64Array> {
  const [n, d] = centred.dims as [number, number];
  if (d <= n || n > WIDEST) return (await componentsOf(context, centred)).variances;
  const { values } = spectrumOf(Matrix.mul(await moments(context, transposed(centred, [1, 0])), 1 / (n - 1)));
  return values.map((v) => Math.max(0, v));
}

/** xᵀ x of rows [n, d], summed in float64: the small eigenvalues would drown in float32. */
export async function moments(context: Running, rows: Rows): Promise<Matrix> {
  const x = input('x', 'float32', ['N', rows.dims[1]!]);
  const wide = cast(x, 'float64');
  const graph: Graph = { name: 'moments', inputs: [x], outputs: { y: matmul(transpose(wide, [1, 0]), wide) } };
  const { y } = await withGraph(context, graph, noWeights, (session) => session.run({ x: rows }));
  return matrixOf(y!);
}

/**
 * The leading components by subspace iteration from a random start. Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.1.
 * @param k components
 */
async function leading(context: Running, centred: Rows, k: number): Promise<Pick<Components, 'variances' | 'vectors'>> {
  const [n, d] = centred.dims as [number, number];
  const width = Math.min(k + OVERSAMPLING, n, d);
  const random = seeded(SEED);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return withGraph(context, gramGraph(d, width), noWeights, async (session) => {
    let basis = orthonormal(Matrix.from1DArray(d, width, Array.from({ length: d * width }, normal)));
    for (let i = 0; i < POWER_ITERATIONS; i++) basis = orthonormal(await gram(session, centred, basis));
    // The Rayleigh quotient of the subspace has its eigenvalues and, turned back, its eigenvectors.
    const quotient = basis.transpose().mmul(await gram(session, centred, basis));
    const { values, vectors } = spectrumOf(Matrix.add(quotient, quotient.transpose()).mul(1 / (2 * (n - 1))));
    return { variances: values.slice(0, k), vectors: basis.mmul(vectors).subMatrix(0, d - 1, 0, k - 1) };
  });
}

/** x [n, d], v [d, k] → xᵀ (x v) */
function gramGraph(d: number, k: number): Graph {
  const [x, v] = [input('x', 'float32', ['N', d]), input('v', 'float32', [d, k])];
  return { name: 'gram', inputs: [x, v], outputs: { y: matmul(x, matmul(x, v), { transA: true }) } };
}

async function gram(session: Pick<Session, 'run'>, x: Rows, basis: Matrix): Promise<Matrix> {
  const v = tensor('float32', [basis.rows, basis.columns], basis.to1DArray());
  return matrixOf((await session.run({ x, v })).y!);
}

const orthonormal = (m: Matrix): Matrix => new QrDecomposition(m).orthogonalMatrix;

/** Rows [n, d] on the first k components: [n, k]. */
export async function projected(context: Running, centred: Rows, { vectors }: Components, k: number): Promise<Rows> {
  const d = centred.dims[1]!;
  const [x, v] = [input('x', 'float32', ['N', d]), input('v', 'float32', [d, k])];
  const graph: Graph = { name: 'project', inputs: [x, v], outputs: { y: matmul(x, v) } };
  const chosen = tensor('float32', [d, k], vectors.subMatrix(0, d - 1, 0, k - 1).to1DArray());
  return (await withGraph(context, graph, noWeights, (session) => session.run({ x: centred, v: chosen }))).y as Rows;
}

import { type Graph, input } from '../../../export/graph/graph.js';
import { cast } from '../../../export/graph/ops/elementwise.js';
import { gemm } from '../../../export/graph/ops/matmul.js';
import { topK } from '../../../export/graph/ops/order.js';
import { type Tensor, tensor } from '../../../export/graph/tensor.js';
import type { Session } from '../../../export/runtime/session.js';
import { slices } from '../../../export/runtime/slices.js';
import { type Context, noWeights, withGraph } from '../context.js';

type Rows = Tensor<'float32'>;

/** The nearest of some points to each of others, nearest first; of equally near ones the first. */
export interface Neighbours {
  /** [queries][k] */
  readonly places: Int32Array;
  /** Euclidean, [queries][k]. */
  readonly distances: Float64Array;
}

/** Found beyond the k that are wanted: their order by float32 products is not quite that of their distances. */
const SPARE = 3;
/** Products held in memory at a time. */
const PRODUCTS = 2 ** 24;

/**
 * The k nearest of `points` [m, d] to each of `queries` [n, d]. Candidates come from blocks of matrix products, as
 * |a − b|² = |a|² + |b|² − 2 a·b; their distances are then computed as they are written, in float64.
 */
export async function nearest(
  context: Pick<Context, 'threads' | 'device' | 'signal'>,
  points: Rows,
  queries: Rows,
  k: number,
): Promise<Neighbours> {
  const [m, n] = [points.dims[0]!, queries.dims[0]!];
  const wanted = Math.min(k + SPARE, m);
  const places = new Int32Array(n * k);
  const distances = new Float64Array(n * k);
  const halves = halfNorms(points);
  await withGraph(context, candidatesGraph(points.dims, wanted), noWeights, async (session) => {
    const run: Session['run'] = (feeds) => session.run({ ...feeds, points, halves });
    for await (const { from, to, outputs } of slices({ run }, { queries }, Math.max(1, Math.floor(PRODUCTS / m)))) {
      const candidates = outputs.places!.data as Int32Array;
      for (let i = from; i < to; i++) {
        const at = (i - from) * wanted;
        const sorted = byDistance(points, queries, i, candidates.subarray(at, at + wanted));
        for (let j = 0; j < k; j++) [places[i * k + j], distances[i * k + j]] = sorted[j]!;
      }
    }
  });
  return { places, distances };
}

/** queries [N, d], points [m, d], halves −|b|²/2 [m] → the places [N, k] of the points with the largest a·b − |b|²/2. */
function candidatesGraph(dims: readonly number[], k: number): Graph {
  const [m, d] = dims as [number, number];
  const queries = input('queries', 'float32', ['N', d]);
  const points = input('points', 'float32', [m, d]);
  const halves = input('halves', 'float32', [m]);
  const closeness = gemm(queries, points, halves, { transB: true });
  const [, places] = topK(closeness, k, 1);
  return { name: 'nearest', inputs: [queries, points, halves], outputs: { places: cast(places, 'int32') } };
}

/** −|b|²/2 of every row. */
function halfNorms({ dims, data }: Rows): Rows {
  const [m, d] = dims as [number, number];
  const halves = Float32Array.from({ length: m }, (_, i) => {
    let sum = 0;
    for (let j = i * d; j < (i + 1) * d; j++) sum += data[j]! ** 2;
    return -sum / 2;
  });
  return tensor('float32', [m], halves);
}

function byDistance(points: Rows, queries: Rows, query: number, candidates: Int32Array): [number, number][] {
  const d = points.dims[1]!;
  return Array.from(candidates, (place): [number, number] => {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += (queries.data[query * d + j]! - points.data[place * d + j]!) ** 2;
    return [place, Math.sqrt(sum)];
  }).sort(([p, a], [q, b]) => a - b || p - q);
}

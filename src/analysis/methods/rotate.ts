import { Matrix } from 'ml-matrix';
import { type Graph, input } from '../../../export/graph/graph.js';
import { matmul } from '../../../export/graph/ops/matmul.js';
import { type Tensor, tensor } from '../../../export/graph/tensor.js';
import { type Context, noWeights, withGraph } from '../context.js';
import { matrixOf, spectrumOf } from './matrix.js';

type Rows = Tensor<'float32'>;

/** Rows with a one behind them, [x, 1], in coordinates in which their second moments are diagonal. */
export interface Rotated {
  /** float32 [n, d + 1] */
  readonly rows: Rows;
  /** Weights of these coordinates, one column a point, as weights of [x, 1]: [d + 1, points]. */
  unrotate(points: readonly Float64Array[]): Matrix;
}

/** Wider rows are left as they are: their eigenvectors would take longer to find than they save. */
const WIDEST = 1100;

/**
 * Turns [x, 1] into the coordinates of the eigenvectors of its second moments. A penalty on |w|² does not change by that, and a
 * minimiser that knows each coordinate's curvature needs far fewer steps.
 */
export async function rotated(context: Pick<Context, 'threads' | 'device' | 'signal'>, rows: Rows): Promise<Rotated> {
  const extended = withOnes(rows);
  const columns = extended.dims[1]!;
  if (columns > WIDEST) return { rows: extended, unrotate: columnsOf };
  const run = (graph: Graph, feeds: Record<string, Rows>) =>
    withGraph(context, graph, noWeights, (session) => session.run(feeds));
  const { moments } = await run(momentsGraph(columns), { x: extended });
  const { vectors } = spectrumOf(matrixOf(moments!));
  const turn = tensor('float32', [columns, columns], vectors.to1DArray());
  const { turned } = await run(turnGraph(columns), { x: extended, turn });
  return { rows: turned as Rows, unrotate: (points) => vectors.mmul(columnsOf(points)) };
}

const columnsOf = (points: readonly Float64Array[]): Matrix => new Matrix(points.map((p) => Array.from(p))).transpose();

function momentsGraph(columns: number): Graph {
  const x = input('x', 'float32', ['N', columns]);
  return { name: 'moments', inputs: [x], outputs: { moments: matmul(x, x, { transA: true }) } };
}

function turnGraph(columns: number): Graph {
  const x = input('x', 'float32', ['N', columns]);
  const turn = input('turn', 'float32', [columns, columns]);
  return { name: 'turn', inputs: [x, turn], outputs: { turned: matmul(x, turn) } };
}

/** [x, 1] */
export function withOnes({ dims, data }: Rows): Rows {
  const [n, d] = dims as [number, number];
  const extended = new Float32Array(n * (d + 1)).fill(1);
  for (let i = 0; i < n; i++) extended.set(data.subarray(i * d, (i + 1) * d), i * (d + 1));
  return tensor('float32', [n, d + 1], extended);
}

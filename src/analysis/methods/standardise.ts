import { type Tensor, tensor } from '../../../export/graph/tensor.js';

/** Mean and standard deviation of every column. */
export interface Scaling {
  readonly mean: Float64Array;
  /** 1 where a column does not vary. */
  readonly deviation: Float64Array;
}

type Rows = Tensor<'float32'>;

/** Means and standard deviations (over n, as scikit-learn's StandardScaler has them) of the columns of [n, d]. */
export function scalingOf({ dims, data }: Rows): Scaling {
  const [n, d] = dims as [number, number];
  const [mean, square] = [new Float64Array(d), new Float64Array(d)];
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) mean[j]! += data[i * d + j]! / n;
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) square[j]! += (data[i * d + j]! - mean[j]!) ** 2 / n;
  return { mean, deviation: square.map((v) => Math.sqrt(v) || 1) };
}

/** (x − mean) / deviation of every column of [n, d]. */
export function standardised({ dims, data }: Rows, { mean, deviation }: Scaling): Rows {
  const d = dims[1]!;
  return tensor(
    'float32',
    dims,
    data.map((v, i) => (v - mean[i % d]!) / deviation[i % d]!),
  );
}

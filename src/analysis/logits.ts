import type { Tensor } from '../../export/graph/tensor.js';

/** The number of the largest logit of each row of [N, classes]. */
export function predictions({ data, dims }: Tensor): number[] {
  const [count, classes] = dims as [number, number];
  return Array.from({ length: count }, (_, n) => {
    const row = (data as Float32Array).subarray(n * classes, (n + 1) * classes);
    return row.indexOf(Math.max(...row));
  });
}

/** How many rows are largest at the label. */
export const countCorrect = (logits: Tensor, labels: ArrayLike<number>): number =>
  predictions(logits).reduce((count, predicted, n) => count + Number(predicted === labels[n]), 0);

/** The logit of the label minus the largest other one: below 0 where the prediction is wrong. */
export function margins({ data, dims }: Tensor, labels: ArrayLike<number>): number[] {
  const [count, classes] = dims as [number, number];
  return Array.from({ length: count }, (_, n) => {
    const row = Array.from((data as Float32Array).subarray(n * classes, (n + 1) * classes));
    const own = row[labels[n]!]!;
    return own - Math.max(...row.filter((_, k) => k !== labels[n]));
  });
}

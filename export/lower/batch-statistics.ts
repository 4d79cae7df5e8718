import { isOp, type Parameter, type Value } from '../graph/graph.js';
import { add, mul, reciprocal, sqrt, square, sub } from '../graph/ops/elementwise.js';
import { reshape } from '../graph/ops/movement.js';
import { normalisation } from '../graph/ops/normalisation.js';
import { reduceMean } from '../graph/ops/reduce.js';
import { type Renamed, rewrite } from '../graph/rewrite.js';
import { staticShape } from '../graph/shape.js';
import { sizeOf } from '../graph/tensor.js';

/** A running statistic and the batch's own value of it. */
export interface Observation {
  readonly running: Parameter;
  readonly observed: Value;
}

/** The training form of a graph: every batch normalisation uses the statistics of its batch, and reports them. */
export function withBatchStatistics(outputs: readonly Value[]): { renamed: Renamed; observations: Observation[] } {
  const observations: Observation[] = [];
  const renamed = rewrite(outputs, (node, [x, scale, bias, mean, variance]) => {
    if (!isOp(node, normalisation.batchNorm)) return undefined;
    const batch = byBatch(x!, scale!, bias!, node.attrs.epsilon);
    observations.push(
      { running: mean as Parameter, observed: batch.mean },
      { running: variance as Parameter, observed: batch.variance },
    );
    return [batch.y];
  });
  return { renamed, observations };
}

/**
 * Batch normalisation by the batch's own statistics: x [N, C, H, W] of static shape; scale, bias [C]. The variance is the
 * mean of (x − mean)², which cannot be negative. The mean of x² less the mean's square would save a pass, but it loses
 * every digit where the mean is some thousand times the deviation. The second pass costs 0.7% of a training step of the
 * network 'fashion-mnist' (CPU time, batch 64, one thread).
 * @returns the normalised y, and what running statistics average: the mean and the unbiased variance, both [C]
 */
export function byBatch(
  x: Value,
  scale: Value,
  bias: Value,
  epsilon: number,
): Record<'y' | 'mean' | 'variance', Value> {
  const [n, channels, height, width] = staticShape(x.type.shape) as [number, number, number, number];
  const axes = [0, 2, 3];
  const count = sizeOf([n, height, width]);
  const along = (v: Value) => reshape(v, [1, channels, 1, 1]);
  const mean = reduceMean(x, axes, true);
  const centred = sub(x, mean);
  const variance = reduceMean(square(centred), axes, true);
  const a = mul(along(scale), reciprocal(sqrt(add(variance, epsilon))));
  return {
    y: add(mul(centred, a), along(bias)),
    mean: reshape(mean, [channels]),
    variance: reshape(mul(variance, count / (count - 1)), [channels]),
  };
}

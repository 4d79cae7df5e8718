import { parameter, type Value } from '../../graph/graph.js';
import { add, mul, reciprocal, sqrt, square, sub } from '../../graph/ops/elementwise.js';
import { reshape } from '../../graph/ops/movement.js';
import { batchNorm } from '../../graph/ops/normalisation.js';
import { reduceMean } from '../../graph/ops/reduce.js';
import { staticShape } from '../../graph/shape.js';
import { sizeOf } from '../../graph/tensor.js';

const EPSILON = 1e-5;

/**
 * Batch normalisation of [N, C, H, W] by running statistics; training replaces it by `byBatch`. The parameters have
 * PyTorch's names: weight, bias, running_mean, running_var.
 */
export function norm(name: string, channels: number): (x: Value) => Value {
  const vector = (part: string, init: 'ones' | 'zeros', kind: 'trained' | 'statistic') =>
    parameter(`${name}.${part}`, [channels], { init, kind });
  const parameters = {
    scale: vector('weight', 'ones', 'trained'),
    bias: vector('bias', 'zeros', 'trained'),
    mean: vector('running_mean', 'zeros', 'statistic'),
    variance: vector('running_var', 'ones', 'statistic'),
  };
  return (x) => batchNorm(x, parameters, EPSILON);
}

/**
 * Batch normalisation by the batch's own statistics: x [N, C, H, W] of static shape; scale, bias [C].
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
  const variance = sub(reduceMean(square(x), axes, true), square(mean));
  const a = mul(along(scale), reciprocal(sqrt(add(variance, epsilon))));
  const b = sub(along(bias), mul(mean, a));
  return {
    y: add(mul(x, a), b),
    mean: reshape(mean, [channels]),
    variance: reshape(mul(variance, count / (count - 1)), [channels]),
  };
}

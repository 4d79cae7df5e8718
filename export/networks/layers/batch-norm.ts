import { parameter, type Value } from '../../graph/graph.js';
import { batchNorm } from '../../graph/ops/normalisation.js';

const EPSILON = 1e-5;

/**
 * Batch normalisation of [N, C, H, W] by running statistics; training replaces these by the batch's own
 * (lower/batch-statistics.ts). The parameters have PyTorch's names: weight, bias, running_mean, running_var.
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

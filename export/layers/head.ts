import { parameter, type Value } from '../graph.js';
import { relu } from '../ops/elementwise.js';
import { gemm } from '../ops/matmul.js';
import { reshape } from '../ops/movement.js';
import { reduceMean } from '../ops/reduce.js';
import { norm } from './batch-norm.js';

/** BatchNorm → ReLU → global average pooling → linear: features [N, C, H, W] → logits [N, classes]. */
export function head(name: string, channels: number, classes: number): (features: Value) => Value {
  const normalise = norm(`${name}.norm`, channels);
  const weight = parameter(`${name}.linear.weight`, [classes, channels], { init: 'fan-in', kind: 'trained' });
  const bias = parameter(`${name}.linear.bias`, [classes], { init: 'zeros', kind: 'trained' });
  return (features) => {
    const pooled = reduceMean(relu(normalise(features)), [2, 3], true);
    return gemm(reshape(pooled, [features.type.shape[0]!, channels]), weight, bias, { transB: true });
  };
}

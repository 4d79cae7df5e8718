import { parameter, type Value } from '../../graph/graph.js';
import { relu } from '../../graph/ops/elementwise.js';
import { gemm } from '../../graph/ops/matmul.js';
import { reshape } from '../../graph/ops/movement.js';
import { reduceMean } from '../../graph/ops/reduce.js';
import { norm } from './batch-norm.js';

/** Global average pooling → linear: [N, C, H, W] → logits [N, classes]. */
export function classifier(name: string, channels: number, classes: number): (x: Value) => Value {
  const weight = parameter(`${name}.weight`, [classes, channels], { init: 'fan-in', kind: 'trained' });
  const bias = parameter(`${name}.bias`, [classes], { init: 'zeros', kind: 'trained' });
  return (x) => {
    const pooled = reduceMean(x, [2, 3], true);
    return gemm(reshape(pooled, [x.type.shape[0]!, channels]), weight, bias, { transB: true });
  };
}

/** BatchNorm → ReLU → global average pooling → linear: features [N, C, H, W] → logits [N, classes]. */
export function head(name: string, channels: number, classes: number): (features: Value) => Value {
  const normalise = norm(`${name}.norm`, channels);
  const classify = classifier(`${name}.linear`, channels, classes);
  return (features) => classify(relu(normalise(features)));
}

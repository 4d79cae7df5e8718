import { parameter, type Value } from '../../graph/graph.js';
import { conv } from '../../graph/ops/conv.js';

/**
 * A convolution without bias that keeps height and width but for its stride: x [N, from, H, W] → [N, to, H', W'].
 * @param groups parts of the channels that do not mix; they divide `from` and `to`
 */
export function convolution(
  name: string,
  from: number,
  to: number,
  kernel: number,
  stride = 1,
  groups = 1,
): (x: Value) => Value {
  const shape = [to, from / groups, kernel, kernel];
  const weight = parameter(`${name}.weight`, shape, { init: 'fan-in', kind: 'trained' });
  return (x) => conv(x, weight, { stride, padding: Math.floor(kernel / 2), groups });
}

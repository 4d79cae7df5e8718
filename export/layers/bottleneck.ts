import { parameter, type Value } from '../graph.js';
import { conv } from '../ops/conv.js';
import { relu } from '../ops/elementwise.js';
import { norm } from './batch-norm.js';

export interface BottleneckShape {
  readonly in: number;
  readonly hidden: number;
  readonly out: number;
  readonly stride: number;
  /** Kernel sizes of the three convolutions: 1-3-1 in the paper, 3-3-3 in the release. */
  readonly kernels: readonly [number, number, number];
  /** The network's first bottleneck starts with its convolution, not with BatchNorm and ReLU. */
  readonly first: boolean;
}

/** F: three times BatchNorm → ReLU → Conv, the stride in the first convolution. i-RevNet paper, figure 2. */
export function bottleneck(name: string, shape: BottleneckShape): (x: Value) => Value {
  const { hidden, stride, kernels, first } = shape;
  const widths = [shape.in, hidden, hidden, shape.out];
  const steps = kernels.map((kernel, i) => {
    const [from, to] = [widths[i]!, widths[i + 1]!];
    const w = parameter(`${name}.conv${i + 1}.weight`, [to, from, kernel, kernel], { init: 'fan-in', kind: 'trained' });
    const normalise = first && i === 0 ? undefined : norm(`${name}.norm${i + 1}`, from);
    const options = { stride: i === 0 ? stride : 1, padding: Math.floor(kernel / 2) };
    return (x: Value) => conv(normalise ? relu(normalise(x)) : x, w, options);
  });
  return (x) => steps.reduce((y, step) => step(y), x);
}

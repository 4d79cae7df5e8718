import type { Value } from '../../graph/graph.js';
import { relu } from '../../graph/ops/elementwise.js';
import { norm } from './batch-norm.js';
import { convolution } from './convolution.js';

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
    const convolve = convolution(`${name}.conv${i + 1}`, from, to, kernel, i === 0 ? stride : 1);
    const normalise = first && i === 0 ? undefined : norm(`${name}.norm${i + 1}`, from);
    return (x: Value) => convolve(normalise ? relu(normalise(x)) : x);
  });
  return (x) => steps.reduce((y, step) => step(y), x);
}

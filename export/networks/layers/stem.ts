import { Type } from 'typebox';
import type { Value } from '../../graph/graph.js';
import { relu } from '../../graph/ops/elementwise.js';
import { maxPool } from '../../graph/ops/pool.js';
import { norm } from './batch-norm.js';
import { convolution } from './convolution.js';

/** The stem of a residual network, as its configuration says it. */
export const StemStride = Type.Optional(
  Type.Union([Type.Literal(1), Type.Literal(2)], {
    description:
      'for small images: the stem is a 3×3 convolution of this stride, and nothing is pooled; by default it is a 7×7 convolution of stride 2 before a pooling of stride 2',
  }),
);
/** The start of a residual network, before its blocks. */
export interface Stem {
  forward(x: Value): Value;
  /** Height or width of what comes out over that of x, rounded up. */
  readonly reduction: number;
}

/**
 * Convolution → BatchNorm → ReLU → max-pooling, as for ImageNet; for small images a convolution of 3×3 without pooling, as
 * for CIFAR (He et al., CVPR 2016, section 4.2).
 * @param names of the convolution and of the normalisation
 */
export function stem(
  names: { readonly conv: string; readonly norm: string },
  from: number,
  to: number,
  stride: 1 | 2 | undefined,
): Stem {
  const convolve = convolution(names.conv, from, to, stride === undefined ? 7 : 3, stride ?? 2);
  const normalise = norm(names.norm, to);
  const start = (x: Value) => relu(normalise(convolve(x)));
  if (stride !== undefined) return { forward: start, reduction: stride };
  return { forward: (x) => maxPool(start(x), { kernel: 3, stride: 2, padding: 1 }), reduction: 4 };
}

import type { Value } from '../../graph/graph.js';
import { depthToSpace, spaceToDepth } from '../../graph/ops/movement.js';
import { type Invertible, identity } from './invertible.js';

/**
 * ψ, the invertible downsampling: (C, H, W) → (b²C, H/b, W/b), channels ordered (row, column, channel).
 * A block size of 1 is the identity. i-RevNet paper, section 2.2.
 */
export const psi = (block: number): Invertible<Value> =>
  block === 1
    ? identity
    : {
        forward: (x) => spaceToDepth(x, block),
        inverse: (y) => depthToSpace(y, block),
      };

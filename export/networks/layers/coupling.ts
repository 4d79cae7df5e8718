import type { Value } from '../../graph/graph.js';
import { add, mul, round, sub } from '../../graph/ops/elementwise.js';
import { once, type Part } from './block.js';
import type { Invertible, Pair } from './invertible.js';

/** k of a fixed-point grid of multiples of 2⁻ᵏ, or null for plain floats. */
export type Grid = number | null;

/**
 * q(v) = round(v · 2ᵏ) / 2ᵏ; without a grid, v itself. Derivatives pass straight through the rounding: ∂q/∂v is taken to
 * be 1, so the Jacobian of a network on a grid is that of the same network on plain floats.
 */
export const quantise = (grid: Grid, v: Value): Value =>
  grid === null ? v : mul(round(mul(v, 2 ** grid)), 2 ** -grid);

/** Sums of grid points are exact in float32 while they stay below this magnitude: 2^(24 − k). */
export const exactBelow = (grid: number): number => 2 ** (24 - grid);

/**
 * Additive coupling with the shortcut S applied to both streams:
 * x2' = S x2, y1 = S x1 + q(F(x2)); back: x2 = S⁻¹ x2', x1 = S⁻¹(y1 − q(F(x2))).
 *
 * On a grid, with streams that lie on it, sums are exact and x1 comes back to the last bit, provided that F gives the
 * same bits in both directions. i-RevNet paper, section 2.1; rounding as in Integer Discrete Flows (2019).
 */
export function coupling(f: (x: Value) => Value, s: Invertible<Value>, grid: Grid): Invertible<Pair> & Part {
  const q = once((x2: Value) => quantise(grid, f(x2)));
  return {
    forward: ([x1, x2]: Pair) => [s.forward(x2), add(s.forward(x1), q(x2))],
    inverse: ([x2Down, y1]: Pair) => {
      const x2 = s.inverse(x2Down);
      return [s.inverse(sub(y1, q(x2))), x2];
    },
    residual: ([, x2]: Pair) => [q(x2)],
    shortcut: ([x1, x2]: Pair) => [s.forward(x2), s.forward(x1)],
  };
}

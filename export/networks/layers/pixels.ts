import { constant, type Value } from '../../graph/graph.js';
import { add, cast, clip, div, mul, round, sub } from '../../graph/ops/elementwise.js';
import { pad, slice, transpose } from '../../graph/ops/movement.js';
import { tensor } from '../../graph/tensor.js';
import { type Grid, quantise } from './coupling.js';
import type { Invertible } from './invertible.js';

/** How 8-bit pixels become the network's input. */
export interface PixelSpec {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Rows and columns of black around the image. */
  readonly padding: number;
  /** Per channel, of pixels scaled to [0, 1]. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Removes the padding: the part of the canvas that shows the image. */
export const crop = (x: Value, { height, width, padding }: PixelSpec): Value =>
  padding === 0 ? x : slice(slice(x, 2, padding, padding + height), 3, padding, padding + width);

/**
 * 8-bit pixels, uint8 [N, H, W, C] ↔ the padded canvas, float32 [N, C, H + 2p, W + 2p]: (pixel / 255 − mean) / std,
 * rounded to the grid. Back, pixels are rounded and clipped, so they are exact while the canvas is off by less than
 * half a grey level.
 */
export function pixels(spec: PixelSpec, grid: Grid): Invertible<Value> {
  const { padding, mean, std } = spec;
  const perChannel = (values: readonly number[]) => constant(tensor('float32', [1, values.length, 1, 1], values));
  const scale = perChannel(std.map((s) => 1 / (255 * s)));
  const shift = perChannel(std.map((s, i) => -mean[i]! / s));
  const margin = [0, 0, padding, padding];
  return {
    forward: (bytes) => {
      const scaled = mul(transpose(cast(bytes, 'float32'), [0, 3, 1, 2]), scale);
      return quantise(grid, add(padding === 0 ? scaled : pad(scaled, margin, margin), shift));
    },
    inverse: (canvas) => {
      const levels = div(sub(crop(canvas, spec), shift), scale);
      return cast(transpose(clip(round(levels), 0, 255), [0, 2, 3, 1]), 'uint8');
    },
  };
}

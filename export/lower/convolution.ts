import { constant, type Value } from '../graph/graph.js';
import { reduceSum } from '../graph/ops/broadcast.js';
import { gatherOrZero } from '../graph/ops/gather.js';
import { matmul } from '../graph/ops/matmul.js';
import { reshape } from '../graph/ops/movement.js';
import { tensor } from '../graph/tensor.js';
import type { Four, Geometry, Layer, StoredWeights } from './layer.js';
import { fitsWinograd, winograd } from './winograd.js';

/** Layers this thin gather more than they multiply: the gather goes where there are fewer channels. */
const THIN = 8;

/**
 * A convolution in the layout [H·W, C, N] by matrix products alone, so that both gradients are products as well.
 * @param x packed input of shape [H·W, C, N]
 * @param from [N, C, H, W] of the input; `to` that of the output
 * @param w weights [O, I, K, K]
 * @returns [H'·W', O, N]
 */
export function convolutionAsProducts(
  x: Value,
  from: Four,
  to: Four,
  { stride, padding }: Geometry,
  w: Value,
  weights: StoredWeights,
): Value {
  const kernel = w.type.shape[2] as number;
  const [, inner] = from;
  const [, outer] = to;
  const layer: Layer = { x, from, to, kernel, stride, padding };
  const weight = (perm: readonly number[], shape: readonly number[]) => reshape(weights(w, perm), shape);
  if (kernel === 1 && stride === 1 && padding === 0) return matmul(weight([0, 1, 2, 3], [outer, inner]), x);
  if (stride !== 1 || inner <= THIN)
    return unfoldThenMultiply(layer, weight([0, 2, 3, 1], [outer, kernel ** 2 * inner]));
  if (outer <= THIN) return multiplyThenFold(layer, weight([2, 3, 0, 1], [kernel ** 2 * outer, inner]));
  if (fitsWinograd(layer)) return winograd(x, from, outer, weight([2, 3, 0, 1], [9, outer * inner]));
  return unfoldThenMultiply(layer, weight([0, 2, 3, 1], [outer, kernel ** 2 * inner]));
}

/** im2col by one gather of rows, then a product: w [O, K²·I]. */
function unfoldThenMultiply({ x, from: [n, c, h, width], to: [, , rows, columns], ...layer }: Layer, w: Value): Value {
  const table = taps(h, width, rows, columns, layer, (pixel) => pixel, h * width);
  const cells = gatherOrZero(reshape(x, [h * width, c * n]), table);
  return matmul(w, reshape(cells, [rows * columns, layer.kernel ** 2 * c, n]));
}

/** A product for every tap, then the taps of each output pixel gathered and added: w [K²·O, I]. */
function multiplyThenFold({ x, from: [n, , h, width], to: [, c, rows, columns], ...layer }: Layer, w: Value): Value {
  const count = layer.kernel ** 2;
  const products = reshape(matmul(w, x), [h * width * count, c * n]);
  const table = taps(h, width, rows, columns, layer, (pixel, tap) => pixel * count + tap, h * width * count);
  return reshape(reduceSum(gatherOrZero(products, table), [1]), [rows * columns, c, n]);
}

/** For every output pixel, the row that each kernel tap reads; `nothing` outside the image. int64 [H'·W', K²]. */
function taps(
  h: number,
  w: number,
  rows: number,
  columns: number,
  { kernel, stride, padding }: Geometry & { kernel: number },
  rowOf: (pixel: number, tap: number) => number,
  nothing: number,
): Value {
  const table: number[] = [];
  for (let pixel = 0; pixel < rows * columns; pixel++) {
    for (let tap = 0; tap < kernel ** 2; tap++) {
      const y = Math.floor(pixel / columns) * stride + Math.floor(tap / kernel) - padding;
      const x = (pixel % columns) * stride + (tap % kernel) - padding;
      table.push(y >= 0 && y < h && x >= 0 && x < w ? rowOf(y * w + x, tap) : nothing);
    }
  }
  return constant(tensor('int64', [rows * columns, kernel ** 2], table));
}

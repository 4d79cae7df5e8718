import { constant, type Value } from '../graph/graph.js';
import { matmul } from '../graph/ops/matmul.js';
import { reshape } from '../graph/ops/movement.js';
import { tensor } from '../graph/tensor.js';
import type { Four, Layer } from './layer.js';

type Matrix = readonly (readonly number[])[];

/** Input, weight and output transforms of one axis, for the whole axis at once. */
interface Transforms {
  /** [points · tiles, size], [points, 3] and [size, points · tiles]. */
  readonly input: Matrix;
  readonly weight: Matrix;
  readonly output: Matrix;
  readonly points: number;
  readonly tiles: number;
}

/** F(4, 3): four outputs from six inputs with six products. Lavin and Gray 2015, section 4.3. */
const INPUT: Matrix = [
  [4, 0, -5, 0, 1, 0],
  [0, -4, -4, 1, 1, 0],
  [0, 4, -4, -1, 1, 0],
  [0, -2, -1, 2, 1, 0],
  [0, 2, -1, -2, 1, 0],
  [0, 4, 0, -5, 0, 1],
];
const WEIGHT: Matrix = [
  [1 / 4, 0, 0],
  [-1 / 6, -1 / 6, -1 / 6],
  [-1 / 6, 1 / 6, -1 / 6],
  [1 / 24, 1 / 12, 1 / 6],
  [1 / 24, -1 / 12, 1 / 6],
  [0, 0, 1],
];
const OUTPUT: Matrix = [
  [1, 1, 1, 1, 1, 0],
  [0, 1, -1, 2, -2, 0],
  [0, 1, 1, 4, 4, 0],
  [0, 1, -1, 8, -8, 1],
];

/** Two outputs from two inputs between zeros: y₁ = w₁x₁ + w₂x₂ and y₂ = w₀x₁ + w₁x₂ with three products. */
const pairOfPixels: Transforms = {
  input: [
    [1, 1],
    [0, 1],
    [1, 0],
  ],
  weight: [
    [0, 1, 0],
    [0, -1, 1],
    [1, -1, 0],
  ],
  output: [
    [1, 1, 0],
    [1, 0, 1],
  ],
  points: 3,
  tiles: 1,
};

/** Tiles of four along an axis of `size` pixels with a border of one zero; rows are ordered (point, tile). */
function tilesOfFour(size: number): Transforms {
  const tiles = size / 4;
  const row = (point: number, tile: number) =>
    Array.from({ length: size }, (_, x) => INPUT[point]![x + 1 - 4 * tile] ?? 0);
  const input = INPUT.flatMap((_, point) => Array.from({ length: tiles }, (_, tile) => row(point, tile)));
  const output = Array.from({ length: size }, (_, y) =>
    OUTPUT[y % 4]!.flatMap((v) => Array.from({ length: tiles }, (_, tile) => (tile === Math.floor(y / 4) ? v : 0))),
  );
  return { input, weight: WEIGHT, output, points: 6, tiles };
}

const transformsFor = (size: number): Transforms => (size === 2 ? pairOfPixels : tilesOfFour(size));

/** Whether a layer is 3×3, stride 1, padding 1, on squares of 2 or a multiple of 4 pixels. */
export const fitsWinograd = ({ kernel, stride, padding, from: [, , h, w] }: Layer): boolean =>
  kernel === 3 && stride === 1 && padding === 1 && h === w && (h === 2 || h % 4 === 0);

/**
 * A 3×3 convolution with 2.25 to 4 times fewer products (Lavin and Gray, arXiv 1509.09308): transforms and products are
 * matrix products with constant or learned matrices, so gradients need nothing of their own.
 * @param x [H·W, C, N]
 * @param w [9, O·C]
 */
export function winograd(x: Value, [n, c, size]: Four, outer: number, w: Value): Value {
  const { input, weight, output, points, tiles } = transformsFor(size);
  const v = separable(input, x, size, c * n);
  const u = matmul(matrix(kronecker(weight, weight)), w);
  const cells =
    tiles === 1
      ? matmul(reshape(u, [points ** 2, outer, c]), reshape(v, [points ** 2, c, n]))
      : matmul(reshape(u, [points, 1, points, 1, outer, c]), reshape(v, [points, tiles, points, tiles, c, n]));
  const side = points * tiles;
  return reshape(separable(output, reshape(cells, [side, side * outer * n]), side, outer * n), [size * size, outer, n]);
}

/** Below this many elements M ⊗ M is one cheap product; above it, rows and columns are transformed in turn. */
const SMALL = 24;

/** M along both image axes: [size·size, rest] → [m·m, rest] for M of m rows. */
function separable(m: Matrix, x: Value, size: number, rest: number): Value {
  const rows = m.length;
  if (rows * size <= SMALL) return matmul(matrix(kronecker(m, m)), reshape(x, [size * size, rest]));
  const down = matmul(matrix(m), reshape(x, [size, size * rest]));
  return reshape(matmul(matrix(m), reshape(down, [rows, size, rest])), [rows * rows, rest]);
}

const matrix = (m: Matrix): Value => constant(tensor('float32', [m.length, m[0]!.length], m.flat()));

const kronecker = (a: Matrix, b: Matrix): Matrix =>
  a.flatMap((rowA) => b.map((rowB) => rowA.flatMap((x) => rowB.map((y) => x * y))));

import type { DType } from './tensor.js';

/** A dimension: a number, or a name ('N') for one that is known only when the graph runs. */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** What is known of a value before anything runs. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

export const show = ({ dtype, shape }: TensorType): string => `${dtype}[${shape.join(', ')}]`;

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

/** A shape whose every dimension is a number; throws otherwise. */
export function staticShape(shape: Shape): number[] {
  const unknown = shape.find((d) => typeof d === 'string');
  if (unknown !== undefined)
    throw new Error(`needs a static shape, but ${unknown} in [${shape.join(', ')}] is symbolic`);
  return shape as number[];
}

/** The product of dimensions; a symbol times a number is a new symbol such as `4*N`. */
export function product(dims: Shape): Dim {
  const known = dims.reduce<number>((a, d) => (typeof d === 'number' ? a * d : a), 1);
  const symbols = dims.filter((d) => typeof d === 'string').sort();
  if (symbols.length === 0) return known;
  return known === 1 ? symbols.join('*') : `${known}*${symbols.join('*')}`;
}

/** NumPy broadcasting of two shapes (https://onnx.ai/onnx/repo-docs/Broadcasting.html); throws where they disagree. */
export function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  const at = (s: Shape, i: number): Dim => s[i - (rank - s.length)] ?? 1;
  return Array.from({ length: rank }, (_, i) => {
    const [x, y] = [at(a, i), at(b, i)];
    if (x === y || y === 1) return x;
    if (x === 1) return y;
    throw new Error(`shapes [${a.join(', ')}] and [${b.join(', ')}] do not broadcast: ${x} against ${y}`);
  });
}

/** A non-negative axis; throws when it is outside the rank. */
export function axisOf(axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= rank) {
    throw new Error(`axis ${axis} is outside a rank of ${rank}`);
  }
  return positive;
}

/** Geometry of a sliding window over height and width, the same in both directions. */
export interface Window {
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

/** ⌊(size + 2·padding − kernel) / stride⌋ + 1, for convolution and pooling. */
export function windowed(size: Dim, { kernel, stride, padding }: Window): number {
  if (typeof size !== 'number') throw new Error(`height and width must be numbers, got ${size}`);
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  if (out < 1) throw new Error(`a window of ${kernel} does not fit a size of ${size} with padding ${padding}`);
  return out;
}

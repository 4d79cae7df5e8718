import { apply, bind, constant, type Value } from '../graph.js';
import type { Family } from '../op.js';
import { axisOf, broadcast, type Dim, product, type Shape, sameShape, staticShape } from '../shape.js';
import { inversePermutation, type Tensor, tensor, zeros } from '../tensor.js';
import { reduceSum, sumTo } from './reduce.js';

export interface MovementAttrs {
  reshape: { shape: Shape };
  transpose: { perm: readonly number[] };
  expand: { shape: Shape };
  concat: { axis: number };
  split: { axis: number; sizes: readonly number[] };
  slice: { axis: number; start: number; end: number; step: number };
  pad: { before: readonly number[]; after: readonly number[]; value: number };
  gather: { zeroRow: boolean };
  spaceToDepth: { block: number };
  depthToSpace: { block: number };
}

/** The same elements in row-major order under another shape. https://onnx.ai/onnx/operators/onnx__Reshape.html */
export const reshape = (x: Value, shape: Shape): Value =>
  sameShape(x.type.shape, shape) ? x : apply('reshape', [x], { shape });
/** Permutes axes: output axis i is input axis perm[i]. */
export const transpose = (x: Value, perm: readonly number[]): Value => apply('transpose', [x], { perm });
/** Repeats axes of length 1 until the shape is `shape`. */
export const expand = (x: Value, shape: Shape): Value =>
  sameShape(x.type.shape, shape) ? x : apply('expand', [x], { shape });
export const concat = (values: readonly Value[], axis: number): Value => apply('concat', values, { axis });
/** Cuts an axis into pieces of the given sizes. */
export const split = (x: Value, axis: number, sizes: readonly number[]): Value[] => bind('split', [x], { axis, sizes });
/** Elements start, start + step, … before `end` of one axis. */
export const slice = (x: Value, axis: number, start: number, end: number, step = 1): Value =>
  apply('slice', [x], { axis, start, end, step });
/** Puts `value` before and after each axis. */
export const pad = (x: Value, before: readonly number[], after: readonly number[], value = 0): Value =>
  apply('pad', [x], { before, after, value });
/** Rows of x by number: [R, …] and int64 indices [I…] → [I…, …]. https://onnx.ai/onnx/operators/onnx__Gather.html */
export const gather = (x: Value, indices: Value): Value => apply('gather', [x, indices], { zeroRow: false });
/** `gather` where index R, one past the last row, reads zeros: for index tables that point at nothing here and there. */
export const gatherOrZero = (x: Value, indices: Value): Value => {
  const row = staticShape(x.type.shape.slice(1));
  return apply('gather', [concat([x, constant(zeros([1, ...row]))], 0), indices], { zeroRow: true });
};
/** ψ: (C, H, W) → (b²C, H/b, W/b), channels ordered (row, column, channel). */
export const spaceToDepth = (x: Value, block: number): Value => apply('spaceToDepth', [x], { block });
/** ψ⁻¹, ONNX's mode DCR. https://onnx.ai/onnx/operators/onnx__DepthToSpace.html */
export const depthToSpace = (x: Value, block: number): Value => apply('depthToSpace', [x], { block });

const ints = (values: readonly number[]): Tensor => tensor('int64', [values.length], values);

/** A shape as ONNX takes it: −1 for the one dimension that is known only when the graph runs. */
function runtimeShape(shape: Shape): number[] {
  if (shape.filter((d) => typeof d === 'string').length > 1) throw new Error(`two symbols in [${shape.join(', ')}]`);
  return shape.map((d) => (typeof d === 'number' ? d : -1));
}

function sizeAlong(x: Value, axis: number): number {
  return staticShape([x.type.shape[axisOf(axis, x.type.shape.length)]!])[0]!;
}

/** Zeros before, between and after the elements of an axis: the adjoint of `slice`. */
function unslice(g: Value, axis: number, { start, step }: { start: number; step: number }, size: number): Value {
  const shape = g.type.shape;
  const count = sizeAlong(g, axis);
  const padded = (v: Value, at: number, before: number, after: number): Value => {
    const only = (n: number) => v.type.shape.map((_, i) => (i === at ? n : 0));
    return before === 0 && after === 0 ? v : pad(v, only(before), only(after));
  };
  const apart = padded(reshape(g, [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)]), axis + 1, 0, step - 1);
  const joined = reshape(apart, [...shape.slice(0, axis), count * step, ...shape.slice(axis + 1)]);
  const excess = start + count * step - size;
  return excess > 0
    ? padded(slice(joined, axis, 0, count * step - excess), axis, start, 0)
    : padded(joined, axis, start, -excess);
}

/** For every row below `wanted`, the positions in `indices` that name it; short lists are filled up with `filler`. */
function readersOf(indices: Tensor, rows: number, wanted: number, filler: number): Tensor {
  const readers = Array.from({ length: rows }, () => [] as number[]);
  Array.from(indices.data, Number).forEach((row, at) => {
    if (row < wanted) readers[row]!.push(at);
  });
  const width = Math.max(1, ...readers.map((r) => r.length));
  const table = readers.flatMap((r) => [...r, ...new Array<number>(width - r.length).fill(filler)]);
  return tensor('int64', [rows, width], table);
}

function fourD(shape: Shape): readonly [Dim, Dim, Dim, Dim] {
  if (shape.length !== 4) throw new Error('expected a rank of 4: [N, C, H, W]');
  return shape as unknown as readonly [Dim, Dim, Dim, Dim];
}

function divided(size: Dim, by: number, what: string): number {
  if (typeof size !== 'number' || size % by !== 0) throw new Error(`${what} ${size} is not a multiple of ${by}`);
  return size / by;
}

export const movement: Family<MovementAttrs> = {
  reshape: {
    infer: ([x], { shape }) => {
      if (product(x!.shape) !== product(shape)) {
        throw new Error(`[${shape.join(', ')}] holds ${product(shape)} elements, the input ${product(x!.shape)}`);
      }
      return [{ dtype: x!.dtype, shape }];
    },
    vjp: ([g], { inputs: [x] }) => [reshape(g!, x!.type.shape)],
    onnx: (_, __, [y]) => ({ type: 'Reshape', constants: [ints(runtimeShape(y!.shape))] }),
    examples: [{ inputs: [[2, 6]], attrs: { shape: [3, 4] } }],
  },
  transpose: {
    infer: ([x], { perm }) => {
      const axes = [...perm].sort((a, b) => a - b);
      if (axes.length !== x!.shape.length || axes.some((a, i) => a !== i)) throw new Error('perm is no permutation');
      return [{ dtype: x!.dtype, shape: perm.map((a) => x!.shape[a]!) }];
    },
    vjp: ([g], { attrs: { perm } }) => [transpose(g!, inversePermutation(perm))],
    onnx: ({ perm }) => ({ type: 'Transpose', attributes: { perm } }),
    examples: [{ inputs: [[2, 3, 4]], attrs: { perm: [2, 0, 1] } }],
  },
  expand: {
    infer: ([x], { shape }) => {
      if (!sameShape(broadcast(x!.shape, shape), shape)) throw new Error(`cannot become [${shape.join(', ')}]`);
      return [{ dtype: x!.dtype, shape }];
    },
    vjp: ([g], { inputs: [x] }) => [sumTo(g!, x!.type.shape)],
    onnx: ({ shape }) => ({ type: 'Expand', constants: [ints(staticShape(shape))] }),
    examples: [{ inputs: [[3, 1]], attrs: { shape: [2, 3, 4] } }],
  },
  concat: {
    infer: (inputs, { axis }) => {
      const [first] = inputs;
      const at = axisOf(axis, first!.shape.length);
      const others = (s: Shape) => s.filter((_, i) => i !== at);
      if (inputs.some((x) => !sameShape(others(x.shape), others(first!.shape)) || x.dtype !== first!.dtype)) {
        throw new Error(`inputs differ in more than axis ${at}`);
      }
      const total = staticShape(inputs.map((x) => x.shape[at]!)).reduce((a, b) => a + b);
      return [{ dtype: first!.dtype, shape: first!.shape.map((d, i) => (i === at ? total : d)) }];
    },
    vjp: ([g], { inputs, attrs: { axis } }) =>
      split(
        g!,
        axis,
        inputs.map((x) => sizeAlong(x, axis)),
      ),
    onnx: ({ axis }) => ({ type: 'Concat', attributes: { axis } }),
    examples: [
      {
        inputs: [
          [2, 3],
          [2, 1],
          [2, 2],
        ],
        attrs: { axis: 1 },
      },
    ],
  },
  split: {
    infer: ([x], { axis, sizes }) => {
      const at = axisOf(axis, x!.shape.length);
      if (x!.shape[at] !== sizes.reduce((a, b) => a + b, 0))
        throw new Error(`sizes ${sizes} do not make up axis ${at}`);
      return sizes.map((size) => ({ dtype: x!.dtype, shape: x!.shape.map((d, i) => (i === at ? size : d)) }));
    },
    vjp: (grads, { attrs: { axis } }) => [concat(grads, axis)],
    onnx: ({ axis, sizes }) => ({ type: 'Split', attributes: { axis }, constants: [ints(sizes)] }),
    examples: [{ inputs: [[2, 6]], attrs: { axis: 1, sizes: [1, 3, 2] } }],
  },
  slice: {
    infer: ([x], { axis, start, end, step }) => {
      const at = axisOf(axis, x!.shape.length);
      const [size] = staticShape([x!.shape[at]!]);
      if (!(0 <= start && start < end && end <= size! && step >= 1)) {
        throw new Error(`needs 0 ≤ start < end ≤ ${size} and step ≥ 1`);
      }
      const count = Math.ceil((end - start) / step);
      return [{ dtype: x!.dtype, shape: x!.shape.map((d, i) => (i === at ? count : d)) }];
    },
    vjp: ([g], { inputs: [x], attrs }) => {
      const axis = axisOf(attrs.axis, x!.type.shape.length);
      return [unslice(g!, axis, attrs, sizeAlong(x!, axis))];
    },
    onnx: ({ axis, start, end, step }) => ({
      type: 'Slice',
      constants: [ints([start]), ints([end]), ints([axis]), ints([step])],
    }),
    examples: [
      { inputs: [[2, 7]], attrs: { axis: 1, start: 1, end: 6, step: 2 } },
      { inputs: [[5, 2]], attrs: { axis: 0, start: 0, end: 5, step: 3 } },
      { inputs: [[5, 2]], attrs: { axis: -2, start: 2, end: 4, step: 1 } },
    ],
  },
  pad: {
    infer: ([x], { before, after }) => {
      if (before.length !== x!.shape.length || after.length !== x!.shape.length) throw new Error('one pad an axis');
      const grown = (d: Dim, i: number): Dim => {
        const more = before[i]! + after[i]!;
        return more === 0 ? d : staticShape([d])[0]! + more;
      };
      return [{ dtype: x!.dtype, shape: x!.shape.map(grown) }];
    },
    vjp: ([g], { inputs: [x], attrs: { before, after } }) => [
      before.reduce(
        (v, start, axis) => (start + after[axis]! === 0 ? v : slice(v, axis, start, start + sizeAlong(x!, axis))),
        g!,
      ),
    ],
    onnx: ({ before, after, value }) => ({
      type: 'Pad',
      constants: [ints([...before, ...after]), tensor('float32', [], [value])],
    }),
    examples: [{ inputs: [[2, 3]], attrs: { before: [0, 2], after: [1, 0], value: 0.5 } }],
  },
  gather: {
    infer: ([x, indices]) => {
      if (x!.shape.length < 1) throw new Error('a scalar has no rows');
      if (indices!.dtype !== 'int64') throw new Error('indices must be int64');
      return [{ dtype: x!.dtype, shape: [...indices!.shape, ...x!.shape.slice(1)] }];
    },
    // The adjoint adds up, for each row, the gradients of the places that read it: a gather again, then a sum.
    // A row that is zero by construction needs none, and being read most of all it would make the table wide.
    vjp: ([g], { inputs: [x, indices], attrs: { zeroRow } }) => {
      if (indices!.source.kind !== 'constant') throw new Error('gather has a gradient only for constant indices');
      const table = indices!.source.tensor;
      const reads = table.data.length;
      const rows = sizeAlong(x!, 0);
      const readers = readersOf(table, rows, zeroRow ? rows - 1 : rows, reads);
      const flat = reshape(g!, [reads, ...x!.type.shape.slice(1)]);
      return [reduceSum(gatherOrZero(flat, constant(readers)), [1]), undefined];
    },
    onnx: () => ({ type: 'Gather', attributes: { axis: 0 } }),
    examples: [{ inputs: [[4, 3], tensor('int64', [2, 3], [0, 2, 2, 3, 0, 2])], attrs: { zeroRow: false } }],
  },
  spaceToDepth: {
    infer: ([x], { block }) => {
      const [n, c, h, w] = fourD(x!.shape);
      const channels = staticShape([c])[0]! * block * block;
      return [{ dtype: x!.dtype, shape: [n, channels, divided(h, block, 'height'), divided(w, block, 'width')] }];
    },
    vjp: ([g], { attrs: { block } }) => [depthToSpace(g!, block)],
    onnx: ({ block }) => ({ type: 'SpaceToDepth', attributes: { blocksize: block } }),
    examples: [{ inputs: [[2, 3, 4, 6]], attrs: { block: 2 } }],
  },
  depthToSpace: {
    infer: ([x], { block }) => {
      const [n, c, h, w] = fourD(x!.shape);
      const [height, width] = staticShape([h, w]) as [number, number];
      return [{ dtype: x!.dtype, shape: [n, divided(c, block * block, 'channels'), height * block, width * block] }];
    },
    vjp: ([g], { attrs: { block } }) => [spaceToDepth(g!, block)],
    onnx: ({ block }) => ({ type: 'DepthToSpace', attributes: { blocksize: block, mode: 'DCR' } }),
    examples: [{ inputs: [[2, 12, 2, 3]], attrs: { block: 2 } }],
  },
};

import { apply, bind, type Value, zerosLike } from '../graph.js';
import { family } from '../op.js';
import { axisOf, type Dim, product, type Shape, sameShape, staticShape } from '../shape.js';
import { inversePermutation, type Tensor, tensor } from '../tensor.js';

export interface MovementAttrs {
  reshape: { shape: Shape };
  transpose: { perm: readonly number[] };
  concat: { axis: number };
  split: { axis: number; sizes: readonly number[] };
  slice: { axis: number; start: number; end: number; step: number };
  pad: { before: readonly number[]; after: readonly number[]; value: number };
  spaceToDepth: { block: number };
  depthToSpace: { block: number };
}

/** The same elements in row-major order under another shape. https://onnx.ai/onnx/operators/onnx__Reshape.html */
export const reshape = (x: Value, shape: Shape): Value =>
  sameShape(x.type.shape, shape) ? x : apply(movement.reshape, [x], { shape });
/** Permutes axes: output axis i is input axis perm[i]. */
export const transpose = (x: Value, perm: readonly number[]): Value => apply(movement.transpose, [x], { perm });
/** Lays values one after another along an axis. */
export const concat = (values: readonly Value[], axis: number): Value => apply(movement.concat, values, { axis });
/** Cuts an axis into pieces of the given sizes. */
export const split = (x: Value, axis: number, sizes: readonly number[]): Value[] =>
  bind(movement.split, [x], { axis, sizes });
/** Elements start, start + step, … before `end` of one axis. */
export const slice = (x: Value, axis: number, start: number, end: number, step = 1): Value =>
  apply(movement.slice, [x], { axis, start, end, step });
/** Puts `value` before and after each axis. */
export const pad = (x: Value, before: readonly number[], after: readonly number[], value = 0): Value =>
  apply(movement.pad, [x], { before, after, value });
/** ψ: (C, H, W) → (b²C, H/b, W/b), channels ordered (row, column, channel). */
export const spaceToDepth = (x: Value, block: number): Value => apply(movement.spaceToDepth, [x], { block });
/** ψ⁻¹, ONNX's mode DCR. https://onnx.ai/onnx/operators/onnx__DepthToSpace.html */
export const depthToSpace = (x: Value, block: number): Value => apply(movement.depthToSpace, [x], { block });

const ints = (values: readonly number[]): Tensor => tensor('int64', [values.length], values);

/** A shape as ONNX takes it: −1 for the one dimension that is known only when the graph runs. */
function runtimeShape(shape: Shape): number[] {
  if (shape.filter((d) => typeof d === 'string').length > 1) throw new Error(`two symbols in [${shape.join(', ')}]`);
  return shape.map((d) => (typeof d === 'number' ? d : -1));
}

function sizeAlong(x: Value, axis: number): number {
  return staticShape([x.type.shape[axisOf(axis, x.type.shape.length)]!])[0]!;
}

/**
 * The adjoint of `slice`: lays g along an axis of zeros, `size` long, at the places start, start + step, …
 */
export function unslice(g: Value, axis: number, start: number, step: number, size: number): Value {
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

function fourD(shape: Shape): readonly [Dim, Dim, Dim, Dim] {
  if (shape.length !== 4) throw new Error('expected a rank of 4: [N, C, H, W]');
  return shape as unknown as readonly [Dim, Dim, Dim, Dim];
}

function divided(size: Dim, by: number, what: string): number {
  if (typeof size !== 'number' || size % by !== 0) throw new Error(`${what} ${size} is not a multiple of ${by}`);
  return size / by;
}

/** Ops that move elements and compute nothing. All are linear: the tangent moves as the value does. */
export const movement = family<MovementAttrs>({
  reshape: {
    infer: ([x], { shape }) => {
      if (product(x!.shape) !== product(shape)) {
        throw new Error(`[${shape.join(', ')}] holds ${product(shape)} elements, the input ${product(x!.shape)}`);
      }
      return [{ dtype: x!.dtype, shape }];
    },
    vjp: ([g], { inputs: [x] }) => [reshape(g!, x!.type.shape)],
    jvp: ([t], { attrs: { shape } }) => [reshape(t!, shape)],
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
    jvp: ([t], { attrs: { perm } }) => [transpose(t!, perm)],
    onnx: ({ perm }) => ({ type: 'Transpose', attributes: { perm } }),
    examples: [{ inputs: [[2, 3, 4]], attrs: { perm: [2, 0, 1] } }],
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
    jvp: (tangents, { inputs, attrs: { axis } }) => [
      concat(
        tangents.map((t, i) => t ?? zerosLike(inputs[i]!)),
        axis,
      ),
    ],
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
    jvp: ([t], { attrs: { axis, sizes } }) => split(t!, axis, sizes),
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
      return [unslice(g!, axis, attrs.start, attrs.step, sizeAlong(x!, axis))];
    },
    jvp: ([t], { attrs: { axis, start, end, step } }) => [slice(t!, axis, start, end, step)],
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
    jvp: ([t], { attrs: { before, after } }) => [pad(t!, before, after)],
    onnx: ({ before, after, value }) => ({
      type: 'Pad',
      constants: [ints([...before, ...after]), tensor('float32', [], [value])],
    }),
    examples: [{ inputs: [[2, 3]], attrs: { before: [0, 2], after: [1, 0], value: 0.5 } }],
  },
  spaceToDepth: {
    infer: ([x], { block }) => {
      const [n, c, h, w] = fourD(x!.shape);
      const channels = staticShape([c])[0]! * block * block;
      return [{ dtype: x!.dtype, shape: [n, channels, divided(h, block, 'height'), divided(w, block, 'width')] }];
    },
    vjp: ([g], { attrs: { block } }) => [depthToSpace(g!, block)],
    jvp: ([t], { attrs: { block } }) => [spaceToDepth(t!, block)],
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
    jvp: ([t], { attrs: { block } }) => [depthToSpace(t!, block)],
    onnx: ({ block }) => ({ type: 'DepthToSpace', attributes: { blocksize: block, mode: 'DCR' } }),
    examples: [{ inputs: [[2, 12, 2, 3]], attrs: { block: 2 } }],
  },
});

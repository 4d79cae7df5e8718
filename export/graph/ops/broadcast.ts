import { apply, type Value } from '../graph.js';
import { family, type OpRules } from '../op.js';
import { axisOf, broadcast, type Shape, sameShape, staticShape } from '../shape.js';
import { tensor } from '../tensor.js';
import { reshape } from './movement.js';

export interface ReduceOptions {
  axes: readonly number[];
  keepdims: boolean;
}

export interface BroadcastAttrs {
  expand: { shape: Shape };
  reduceSum: ReduceOptions;
}

/** Repeats axes of length 1 until the shape is `shape`. https://onnx.ai/onnx/operators/onnx__Expand.html */
export const expand = (x: Value, shape: Shape): Value =>
  sameShape(x.type.shape, shape) ? x : apply(broadcasting.expand, [x], { shape });
/** Sum over axes; `keepdims` leaves them with length 1. https://onnx.ai/onnx/operators/onnx__ReduceSum.html */
export const reduceSum = (x: Value, axes: readonly number[], keepdims = false): Value =>
  apply(broadcasting.reduceSum, [x], { axes, keepdims });

/** Sums the axes over which a value of `shape` was broadcast: the adjoint of broadcasting. */
export function sumTo(g: Value, shape: Shape): Value {
  const from = g.type.shape;
  if (sameShape(from, shape)) return g;
  const lead = from.length - shape.length;
  const axes = from.flatMap((d, i) => (i < lead || (shape[i - lead] === 1 && d !== 1) ? [i] : []));
  const summed = axes.length > 0 ? reduceSum(g, axes, true) : g;
  return lead > 0 ? reshape(summed, shape) : summed;
}

/** The shape that is left after a reduction. */
function reducedShape(shape: Shape, { axes, keepdims }: ReduceOptions): Shape {
  const gone = new Set(axes.map((a) => axisOf(a, shape.length)));
  return shape.flatMap((d, i) => (gone.has(i) ? (keepdims ? [1] : []) : [d]));
}

/** What was reduced from x, or its gradient, laid along the axes of x that were reduced, each of length 1. */
export const alongAxes = (v: Value, x: Value, attrs: ReduceOptions): Value =>
  reshape(v, reducedShape(x.type.shape, { ...attrs, keepdims: true }));

/** What the definitions of all reductions share: types, the ONNX node and the examples. */
export const reduction = (type: string) =>
  ({
    infer: ([x], attrs) => [{ dtype: x!.dtype, shape: reducedShape(x!.shape, attrs) }],
    onnx: ({ axes, keepdims }) => ({
      type,
      attributes: { keepdims: Number(keepdims) },
      constants: [tensor('int64', [axes.length], axes)],
    }),
    examples: [
      { inputs: [[2, 3, 4]], attrs: { axes: [0, 2], keepdims: true } },
      { inputs: [[2, 3]], attrs: { axes: [1], keepdims: false } },
    ],
  }) satisfies Partial<OpRules<ReduceOptions>>;

/** Repeating along axes and summing over them, each the other's adjoint. */
export const broadcasting = family<BroadcastAttrs>({
  expand: {
    infer: ([x], { shape }) => {
      if (!sameShape(broadcast(x!.shape, shape), shape)) throw new Error(`cannot become [${shape.join(', ')}]`);
      return [{ dtype: x!.dtype, shape }];
    },
    vjp: ([g], { inputs: [x] }) => [sumTo(g!, x!.type.shape)],
    jvp: ([t], { attrs: { shape } }) => [expand(t!, shape)],
    onnx: ({ shape }) => ({ type: 'Expand', constants: [tensor('int64', [shape.length], staticShape(shape))] }),
    examples: [{ inputs: [[3, 1]], attrs: { shape: [2, 3, 4] } }],
  },
  // d Σx = Σ dx
  reduceSum: {
    ...reduction('ReduceSum'),
    vjp: ([g], { inputs: [x], attrs }) => [expand(alongAxes(g!, x!, attrs), x!.type.shape)],
    jvp: ([t], { attrs: { axes, keepdims } }) => [reduceSum(t!, axes, keepdims)],
  },
});

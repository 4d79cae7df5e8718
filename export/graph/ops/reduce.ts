import { apply, type Value } from '../graph.js';
import type { Family, OpDef, Vjp } from '../op.js';
import { axisOf, type Shape, sameShape, staticShape, type TensorType } from '../shape.js';
import { sizeOf, tensor } from '../tensor.js';
import { cast, equal, mul } from './elementwise.js';
import { expand, reshape } from './movement.js';

interface ReduceOptions {
  axes: readonly number[];
  keepdims: boolean;
}

export interface ReduceAttrs {
  reduceSum: ReduceOptions;
  reduceMean: ReduceOptions;
  reduceMax: ReduceOptions;
}

/** Sum over axes; `keepdims` leaves them with length 1. https://onnx.ai/onnx/operators/onnx__ReduceSum.html */
export const reduceSum = (x: Value, axes: readonly number[], keepdims = false): Value =>
  apply('reduceSum', [x], { axes, keepdims });
/** Arithmetic mean over axes. */
export const reduceMean = (x: Value, axes: readonly number[], keepdims = false): Value =>
  apply('reduceMean', [x], { axes, keepdims });
/** Largest element over axes. */
export const reduceMax = (x: Value, axes: readonly number[], keepdims = false): Value =>
  apply('reduceMax', [x], { axes, keepdims });

/** Sums the axes over which a value of `shape` was broadcast: the adjoint of broadcasting. */
export function sumTo(g: Value, shape: Shape): Value {
  const from = g.type.shape;
  if (sameShape(from, shape)) return g;
  const lead = from.length - shape.length;
  const axes = from.flatMap((d, i) => (i < lead || (shape[i - lead] === 1 && d !== 1) ? [i] : []));
  const summed = axes.length > 0 ? reduceSum(g, axes, true) : g;
  return lead > 0 ? reshape(summed, shape) : summed;
}

function reducedShape(shape: Shape, { axes, keepdims }: ReduceOptions): Shape {
  const gone = new Set(axes.map((a) => axisOf(a, shape.length)));
  return shape.flatMap((d, i) => (gone.has(i) ? (keepdims ? [1] : []) : [d]));
}

/** The gradient, or the result, laid along the axes that were reduced, each of length 1. */
const alongAxes = (v: Value, x: Value, attrs: ReduceOptions): Value =>
  reshape(v, reducedShape(x.type.shape, { ...attrs, keepdims: true }));

const reduction = (type: string, vjp: Vjp<ReduceOptions>): OpDef<ReduceOptions> => ({
  infer: ([x]: readonly TensorType[], attrs) => [{ dtype: x!.dtype, shape: reducedShape(x!.shape, attrs) }],
  vjp,
  onnx: ({ axes, keepdims }) => ({
    type,
    attributes: { keepdims: Number(keepdims) },
    constants: [tensor('int64', [axes.length], axes)],
  }),
  examples: [
    { inputs: [[2, 3, 4]], attrs: { axes: [0, 2], keepdims: true } },
    { inputs: [[2, 3]], attrs: { axes: [1], keepdims: false } },
  ],
});

export const reduce: Family<ReduceAttrs> = {
  // d Σx = Σ dx
  reduceSum: reduction('ReduceSum', ([g], { inputs: [x], attrs }) => [expand(alongAxes(g!, x!, attrs), x!.type.shape)]),
  // d mean(x) = Σ dx / n
  reduceMean: reduction('ReduceMean', ([g], { inputs: [x], attrs }) => {
    const count = sizeOf(staticShape(attrs.axes.map((a) => x!.type.shape[axisOf(a, x!.type.shape.length)]!)));
    return [expand(mul(alongAxes(g!, x!, attrs), 1 / count), x!.type.shape)];
  }),
  // d max(x) = Σ [x = max] dx; elements that tie each receive the whole gradient
  reduceMax: reduction('ReduceMax', ([g], { inputs: [x], outputs: [y], attrs }) => {
    const mask = cast(equal(x!, alongAxes(y!, x!, attrs)), 'float32');
    return [mul(mask, alongAxes(g!, x!, attrs))];
  }),
};

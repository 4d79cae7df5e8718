import { apply, type Value } from '../graph.js';
import { family } from '../op.js';
import { axisOf, staticShape } from '../shape.js';
import { sizeOf } from '../tensor.js';
import { alongAxes, expand, type ReduceOptions, reduceSum, reduction } from './broadcast.js';
import { cast, div, equal, mul } from './elementwise.js';

export interface ReduceAttrs {
  reduceMean: ReduceOptions;
  reduceMax: ReduceOptions;
}

/** Arithmetic mean over axes. https://onnx.ai/onnx/operators/onnx__ReduceMean.html */
export const reduceMean = (x: Value, axes: readonly number[], keepdims = false): Value =>
  apply(reduce.reduceMean, [x], { axes, keepdims });
/** Largest element over axes. https://onnx.ai/onnx/operators/onnx__ReduceMax.html */
export const reduceMax = (x: Value, axes: readonly number[], keepdims = false): Value =>
  apply(reduce.reduceMax, [x], { axes, keepdims });

/** Weights [x = max] / n of the elements, where n elements tie for the maximum. */
function shares(x: Value, y: Value, attrs: ReduceOptions): Value {
  const winners = cast(equal(x, alongAxes(y, x, attrs)), 'float32');
  return div(winners, reduceSum(winners, attrs.axes, true));
}

export const reduce = family<ReduceAttrs>({
  // d mean(x) = Σ dx / n
  reduceMean: {
    ...reduction('ReduceMean'),
    vjp: ([g], { inputs: [x], attrs }) => {
      const count = sizeOf(staticShape(attrs.axes.map((a) => x!.type.shape[axisOf(a, x!.type.shape.length)]!)));
      return [expand(mul(alongAxes(g!, x!, attrs), 1 / count), x!.type.shape)];
    },
    jvp: ([t], { attrs: { axes, keepdims } }) => [reduceMean(t!, axes, keepdims)],
  },
  // d max(x) = Σ [x = max] dx / n: the n elements that tie for the maximum share the gradient equally
  reduceMax: {
    ...reduction('ReduceMax'),
    vjp: ([g], { inputs: [x], outputs: [y], attrs }) => [mul(shares(x!, y!, attrs), alongAxes(g!, x!, attrs))],
    jvp: ([t], { inputs: [x], outputs: [y], attrs }) => [
      reduceSum(mul(shares(x!, y!, attrs), t!), attrs.axes, attrs.keepdims),
    ],
  },
});

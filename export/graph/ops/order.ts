import { bind, type Value } from '../graph.js';
import { family } from '../op.js';
import { axisOf } from '../shape.js';
import { tensor } from '../tensor.js';

export interface OrderAttrs {
  topK: { k: number; axis: number; largest: boolean };
}

/**
 * The k largest or smallest elements along an axis, in order, and their places; of equal elements the first ones.
 * @returns values of x's type, and places as int64, each with k elements along the axis
 * https://onnx.ai/onnx/operators/onnx__TopK.html
 */
export const topK = (x: Value, k: number, axis: number, largest = true): [values: Value, places: Value] =>
  bind(order.topK, [x], { k, axis, largest }) as [Value, Value];

/** Ops that order elements. */
export const order = family<OrderAttrs>({
  topK: {
    infer: ([x], { k, axis }) => {
      const at = axisOf(axis, x!.shape.length);
      const size = x!.shape[at]!;
      if (!(Number.isInteger(k) && k >= 1)) throw new Error(`k is ${k}; expected a whole number of at least 1`);
      if (typeof size === 'number' && k > size) throw new Error(`k is ${k}, but the axis has ${size} elements`);
      const shape = x!.shape.map((d, i) => (i === at ? k : d));
      return [
        { dtype: x!.dtype, shape },
        { dtype: 'int64', shape },
      ];
    },
    vjp: 'none',
    jvp: 'none',
    onnx: ({ k, axis, largest }) => ({
      type: 'TopK',
      attributes: { axis, largest: Number(largest), sorted: 1 },
      constants: [tensor('int64', [1], [k])],
    }),
    examples: [
      { inputs: [[3, 5]], attrs: { k: 2, axis: 1, largest: true } },
      { inputs: [[3, 5]], attrs: { k: 1, axis: -2, largest: false } },
    ],
  },
});

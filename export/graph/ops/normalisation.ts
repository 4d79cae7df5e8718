import { apply, type Value } from '../graph.js';
import type { Family } from '../op.js';
import { axisOf, type Shape, type TensorType } from '../shape.js';
import { tensor } from '../tensor.js';
import { add, exp, mul, neg, reciprocal, sqrt, sub } from './elementwise.js';
import { reshape } from './movement.js';
import { reduceSum } from './reduce.js';

export interface NormalisationAttrs {
  batchNorm: { epsilon: number };
  softmax: { axis: number };
  logSoftmax: { axis: number };
}

/**
 * Batch normalisation by given statistics: x [N, C, …]; scale, bias, mean, variance [C].
 * In training the statistics are the batch's own: layers/batch-norm.ts, `byBatch`.
 * https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
 */
export const batchNorm = (
  x: Value,
  { scale, bias, mean, variance }: Record<'scale' | 'bias' | 'mean' | 'variance', Value>,
  epsilon: number,
): Value => apply('batchNorm', [x, scale, bias, mean, variance], { epsilon });
/** eˣ / Σ eˣ along an axis. */
export const softmax = (x: Value, axis: number): Value => apply('softmax', [x], { axis });
/** The logarithm of softmax, without its overflow. */
export const logSoftmax = (x: Value, axis: number): Value => apply('logSoftmax', [x], { axis });

/** A vector of channels laid along axis 1. */
const perChannel = (v: Value, shape: Shape): Value =>
  reshape(
    v,
    shape.map((_, i) => (i === 1 ? v.type.shape[0]! : 1)),
  );

function alongAxis([x]: readonly TensorType[], { axis }: { axis: number }): TensorType[] {
  axisOf(axis, x!.shape.length);
  return [x!];
}

export const normalisation: Family<NormalisationAttrs> = {
  batchNorm: {
    infer: ([x, ...vectors]) => {
      if (x!.shape.length < 2) throw new Error('x needs a channel axis');
      if (vectors.some((v) => v.shape.length !== 1 || v.shape[0] !== x!.shape[1])) {
        throw new Error(`scale, bias, mean and variance must have shape [${x!.shape[1]}]`);
      }
      return [x!];
    },
    // y = (x − m) a + b with a = scale / √(v + ε), u = 1 / √(v + ε)
    vjp: ([g], { inputs: [x, scale, , mean, variance], attrs: { epsilon } }) => {
      const shape = x!.type.shape;
      const axes = shape.flatMap((_, i) => (i === 1 ? [] : [i]));
      const u = reciprocal(sqrt(add(variance!, epsilon)));
      const a = mul(scale!, u);
      const sum = reduceSum(g!, axes);
      const scaled = mul(reduceSum(mul(g!, sub(x!, perChannel(mean!, shape))), axes), u);
      const variances = mul(mul(scaled, a), mul(u, -0.5));
      return [mul(g!, perChannel(a, shape)), scaled, sum, neg(mul(sum, a)), variances];
    },
    onnx: ({ epsilon }) => ({ type: 'BatchNormalization', attributes: { epsilon: { float: epsilon } } }),
    examples: [
      {
        inputs: [[2, 3, 2, 2], [3], [3], [3], tensor('float32', [3], [0.5, 1.5, 2])],
        attrs: { epsilon: 1e-5 },
      },
    ],
  },
  softmax: {
    infer: alongAxis,
    // dx = y (g − Σ g y)
    vjp: ([g], { outputs: [y], attrs: { axis } }) => [mul(y!, sub(g!, reduceSum(mul(g!, y!), [axis], true)))],
    onnx: ({ axis }) => ({ type: 'Softmax', attributes: { axis } }),
    examples: [{ inputs: [[3, 4]], attrs: { axis: 1 } }],
  },
  logSoftmax: {
    infer: alongAxis,
    // dx = g − softmax(x) Σ g
    vjp: ([g], { outputs: [y], attrs: { axis } }) => [sub(g!, mul(exp(y!), reduceSum(g!, [axis], true)))],
    onnx: ({ axis }) => ({ type: 'LogSoftmax', attributes: { axis } }),
    examples: [{ inputs: [[3, 4]], attrs: { axis: 1 } }],
  },
};

import { apply, type Value } from '../graph.js';
import { family } from '../op.js';
import { axisOf, type Shape } from '../shape.js';
import { tensor } from '../tensor.js';
import { expand, reduceSum } from './broadcast.js';
import { add, exp, mul, neg, reciprocal, sqrt, sub, sumOf } from './elementwise.js';
import { reshape } from './movement.js';

export interface NormalisationAttrs {
  batchNorm: { epsilon: number };
  logSoftmax: { axis: number };
}

/**
 * Batch normalisation by given statistics: x [N, C, …]; scale, bias, mean, variance [C].
 * In training the statistics are the batch's own: lower/batch-statistics.ts.
 * https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
 */
export const batchNorm = (
  x: Value,
  { scale, bias, mean, variance }: Record<'scale' | 'bias' | 'mean' | 'variance', Value>,
  epsilon: number,
): Value => apply(normalisation.batchNorm, [x, scale, bias, mean, variance], { epsilon });
/** log(eˣ / Σ eˣ) along an axis, without overflow. */
export const logSoftmax = (x: Value, axis: number): Value => apply(normalisation.logSoftmax, [x], { axis });

/** A vector of channels laid along axis 1. */
const perChannel = (v: Value, shape: Shape): Value =>
  reshape(
    v,
    shape.map((_, i) => (i === 1 ? v.type.shape[0]! : 1)),
  );

/** a = scale · u and u = 1 / √(variance + ε), both [C]. */
function factors([, scale, , , variance]: readonly Value[], epsilon: number): { a: Value; u: Value } {
  const u = reciprocal(sqrt(add(variance!, epsilon)));
  return { a: mul(scale!, u), u };
}

export const normalisation = family<NormalisationAttrs>({
  batchNorm: {
    infer: ([x, ...vectors]) => {
      if (x!.shape.length < 2) throw new Error('x needs a channel axis');
      if (vectors.some((v) => v.shape.length !== 1 || v.shape[0] !== x!.shape[1])) {
        throw new Error(`scale, bias, mean and variance must have shape [${x!.shape[1]}]`);
      }
      return [x!];
    },
    // y = (x − m) a + b with a = scale · u, u = 1 / √(v + ε), and so dy = a dx + (x − m) da + db − a dm,
    // da = u dscale − a u² dv / 2
    vjp: ([g], { inputs, attrs: { epsilon } }) => {
      const [x, , , mean] = inputs;
      const shape = x!.type.shape;
      const axes = shape.flatMap((_, i) => (i === 1 ? [] : [i]));
      const { a, u } = factors(inputs, epsilon);
      const sum = reduceSum(g!, axes);
      const scaled = mul(reduceSum(mul(g!, sub(x!, perChannel(mean!, shape))), axes), u);
      const variances = mul(mul(scaled, a), mul(u, -0.5));
      return [mul(g!, perChannel(a, shape)), scaled, sum, neg(mul(sum, a)), variances];
    },
    jvp: ([tx, tScale, tBias, tMean, tVariance], { inputs, outputs: [y], attrs: { epsilon } }) => {
      const [x, , , mean] = inputs;
      const shape = x!.type.shape;
      const { a, u } = factors(inputs, epsilon);
      const along = (v: Value) => perChannel(v, shape);
      const ofFactor = [tScale && mul(tScale, u), tVariance && mul(mul(tVariance, a), mul(mul(u, u), -0.5))];
      const moved = sumOf([
        tx && mul(tx, along(a)),
        ofFactor.some(Boolean) ? mul(sub(x!, along(mean!)), along(sumOf(ofFactor))) : undefined,
        tBias && along(tBias),
        tMean && along(neg(mul(tMean, a))),
      ]);
      return [expand(moved, y!.type.shape)];
    },
    onnx: ({ epsilon }) => ({ type: 'BatchNormalization', attributes: { epsilon: { float: epsilon } } }),
    examples: [
      {
        inputs: [[2, 3, 2, 2], [3], [3], [3], tensor('float32', [3], [0.5, 1.5, 2])],
        attrs: { epsilon: 1e-5 },
      },
    ],
  },
  logSoftmax: {
    infer: ([x], { axis }) => {
      axisOf(axis, x!.shape.length);
      return [x!];
    },
    // dx = g − softmax(x) Σ g
    vjp: ([g], { outputs: [y], attrs: { axis } }) => [sub(g!, mul(exp(y!), reduceSum(g!, [axis], true)))],
    // dy = dx − Σ softmax(x) dx
    jvp: ([t], { outputs: [y], attrs: { axis } }) => [sub(t!, reduceSum(mul(exp(y!), t!), [axis], true))],
    onnx: ({ axis }) => ({ type: 'LogSoftmax', attributes: { axis } }),
    examples: [{ inputs: [[3, 4]], attrs: { axis: 1 } }],
  },
});

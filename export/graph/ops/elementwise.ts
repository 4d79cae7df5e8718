import { apply, scalar, type Value } from '../graph.js';
import type { Family, None, OnnxAttribute, OpDef, Vjp } from '../op.js';
import { broadcast, sameShape, type TensorType } from '../shape.js';
import { type DType, tensor } from '../tensor.js';
import { expand } from './movement.js';
import { sumTo } from './reduce.js';

export interface ElementwiseAttrs {
  add: None;
  sub: None;
  mul: None;
  div: None;
  neg: None;
  square: None;
  sqrt: None;
  reciprocal: None;
  exp: None;
  log: None;
  abs: None;
  relu: None;
  step: None;
  round: None;
  clip: { min: number; max: number };
  cast: { to: DType };
  equal: None;
  greater: None;
  less: None;
}

type Binary = 'add' | 'sub' | 'mul' | 'div';

/**
 * Applies a broadcasting op. An operand that is an `expand` is used unexpanded and the result expanded instead, where
 * it still has to be: op(expand(a), b) = expand(op(a, b)). So gradients of means never fill memory with copies.
 */
function binary(op: Binary, a: Value, b: Value): Value {
  const full = broadcast(a.type.shape, b.type.shape);
  const [slimA, slimB] = [unexpanded(a), unexpanded(b)];
  if (slimA === a && slimB === b) return apply(op, [a, b], {});
  const slim = apply(op, [slimA, slimB], {});
  return sameShape(slim.type.shape, full) ? slim : expand(slim, full);
}

const unexpanded = (v: Value): Value =>
  v.source.kind === 'node' && v.source.node.op === 'expand' ? v.source.node.inputs[0]! : v;

const lift = (v: Value | number): Value => (typeof v === 'number' ? scalar(v) : v);

/** a + b, broadcasting. https://onnx.ai/onnx/operators/onnx__Add.html */
export const add = (a: Value | number, b: Value | number): Value => binary('add', lift(a), lift(b));
/** a − b, broadcasting. */
export const sub = (a: Value | number, b: Value | number): Value => binary('sub', lift(a), lift(b));
/** a · b, element by element, broadcasting. */
export const mul = (a: Value | number, b: Value | number): Value => binary('mul', lift(a), lift(b));
/** a / b, broadcasting. */
export const div = (a: Value | number, b: Value | number): Value => binary('div', lift(a), lift(b));
export const neg = (x: Value): Value => apply('neg', [x], {});
/** x². */
export const square = (x: Value): Value => apply('square', [x], {});
export const sqrt = (x: Value): Value => apply('sqrt', [x], {});
/** 1 / x. */
export const reciprocal = (x: Value): Value => apply('reciprocal', [x], {});
export const exp = (x: Value): Value => apply('exp', [x], {});
/** The natural logarithm. */
export const log = (x: Value): Value => apply('log', [x], {});
export const abs = (x: Value): Value => apply('abs', [x], {});
/** max(x, 0). */
export const relu = (x: Value): Value => apply('relu', [x], {});
/** 1 where x > 0, else 0, as float32 (a mask to multiply with; exact for |x| ≥ 1e-30). */
export const step = (x: Value): Value => apply('step', [x], {});
/** To the nearest integer, halves to even. https://onnx.ai/onnx/operators/onnx__Round.html */
export const round = (x: Value): Value => apply('round', [x], {});
/** min(max(x, min), max). */
export const clip = (x: Value, min: number, max: number): Value => apply('clip', [x], { min, max });
/** Converts the element type; floats are truncated towards zero. */
export const cast = (x: Value, to: DType): Value => apply('cast', [x], { to });
/** a = b as bool, broadcasting. */
export const equal = (a: Value, b: Value): Value => apply('equal', [a, b], {});
/** a > b as bool, broadcasting. */
export const greater = (a: Value, b: Value): Value => apply('greater', [a, b], {});
/** a < b as bool, broadcasting. */
export const less = (a: Value, b: Value): Value => apply('less', [a, b], {});

function together([a, b]: readonly TensorType[], dtype?: DType): TensorType[] {
  if (a!.dtype !== b!.dtype) throw new Error(`element types differ: ${a!.dtype} and ${b!.dtype}`);
  return [{ dtype: dtype ?? a!.dtype, shape: broadcast(a!.shape, b!.shape) }];
}

const twoSets = [
  { inputs: [tensor('float32', [2, 3], [1, -2, 3, 4, 5, -6]), tensor('float32', [3], [0.5, 2, -4])], attrs: {} },
  { inputs: [tensor('float32', [2, 1], [3, -2]), tensor('float32', [1, 2], [0.5, 7])], attrs: {} },
] as const;

const arithmetic = (type: string, vjp: Vjp<None>): OpDef<None> => ({
  infer: (inputs) => together(inputs),
  vjp: (grads, application) => vjp(grads, application).map((g, i) => g && sumTo(g, application.inputs[i]!.type.shape)),
  onnx: () => ({ type }),
  examples: twoSets,
});

const comparison = (type: string): OpDef<None> => ({
  infer: (inputs) => together(inputs, 'bool'),
  vjp: 'none',
  onnx: () => ({ type }),
  examples: twoSets,
});

const spread = tensor('float32', [2, 3], [-2.3, -0.7, -0.4, 0.6, 1.3, 2.6]);
const positive = tensor('float32', [2, 2], [0.5, 1.1, 2.3, 4]);

const unary = (
  type: string,
  derivative: ((x: Value, y: Value, g: Value) => Value) | 'none',
  options: { at?: typeof spread; attributes?: Record<string, OnnxAttribute> } = {},
): OpDef<None> => ({
  infer: ([x]) => [x!],
  vjp: derivative === 'none' ? 'none' : ([g], { inputs, outputs }) => [derivative(inputs[0]!, outputs[0]!, g!)],
  onnx: () => ({ type, attributes: options.attributes ?? {} }),
  examples: [{ inputs: [options.at ?? spread], attrs: {} }],
});

export const elementwise: Family<ElementwiseAttrs> = {
  // d(a + b) = da + db
  add: arithmetic('Add', ([g]) => [g, g]),
  // d(a − b) = da − db
  sub: arithmetic('Sub', ([g]) => [g, neg(g!)]),
  // d(a b) = b da + a db
  mul: arithmetic('Mul', ([g], { inputs: [a, b] }) => [mul(g!, b!), mul(g!, a!)]),
  // d(a / b) = da / b − a / b² db
  div: arithmetic('Div', ([g], { inputs: [, b], outputs: [y] }) => [div(g!, b!), neg(mul(g!, div(y!, b!)))]),
  neg: unary('Neg', (_x, _y, g) => neg(g)),
  // ONNX has no Square: a product with itself, for which one rule serves instead of two equal terms. d x² = 2x dx
  square: { ...unary('Mul', (x, _y, g) => mul(x, mul(g, 2))), onnx: () => ({ type: 'Mul', operands: [0, 0] }) },
  // d √x = dx / (2 √x)
  sqrt: unary('Sqrt', (_x, y, g) => div(mul(g, 0.5), y), { at: positive }),
  // d (1/x) = −1/x² dx
  reciprocal: unary('Reciprocal', (_x, y, g) => neg(mul(g, square(y))), { at: positive }),
  exp: unary('Exp', (_x, y, g) => mul(g, y)),
  log: unary('Log', (x, _y, g) => div(g, x), { at: positive }),
  // d |x| = sign(x) dx
  abs: unary('Abs', (x, _y, g) => mul(g, sub(mul(step(x), 2), 1))),
  // d relu(x) = [x > 0] dx, and [relu(x) > 0] is the same mask
  relu: unary('Relu', (_x, y, g) => mul(g, step(y))),
  // A steep HardSigmoid: max(0, min(1, 1e30 x)), many times cheaper on the CPU than a comparison and a cast
  step: unary('HardSigmoid', 'none', { attributes: { alpha: { float: 1e30 }, beta: { float: 0 } } }),
  round: unary('Round', 'none'),
  clip: {
    infer: ([x]) => [x!],
    // d clip(x) = [min < x < max] dx
    vjp: ([g], { inputs: [x], attrs: { min, max } }) => [mul(g!, mul(step(sub(x!, min)), step(sub(max, x!))))],
    onnx: ({ min, max }) => ({
      type: 'Clip',
      constants: [tensor('float32', [], [min]), tensor('float32', [], [max])],
    }),
    examples: [{ inputs: [spread], attrs: { min: -0.5, max: 1 } }],
  },
  cast: {
    infer: ([x], { to }) => [{ dtype: to, shape: x!.shape }],
    vjp: 'none',
    onnx: ({ to }) => ({ type: 'Cast', attributes: { to: elementTypes[to] } }),
    examples: [{ inputs: [positive], attrs: { to: 'uint8' } }],
  },
  equal: comparison('Equal'),
  greater: comparison('Greater'),
  less: comparison('Less'),
};

/** ONNX's numbers for element types (TensorProto.DataType). */
export const elementTypes: Record<DType, number> = { float32: 1, uint8: 2, int64: 7, bool: 9, float64: 11 };

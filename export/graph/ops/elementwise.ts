import { apply, type Node, nodeOf, scalar, type Value } from '../graph.js';
import { family, type None, type OnnxAttribute, type OpRules } from '../op.js';
import { broadcast, sameShape, type TensorType } from '../shape.js';
import { type DType, onnxType, tensor } from '../tensor.js';
import { broadcasting, expand, sumTo } from './broadcast.js';

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
  abs: None;
  relu: None;
  step: None;
  round: None;
  clip: { min: number; max: number };
  cast: { to: DType };
  equal: None;
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
  if (slimA === a && slimB === b) return apply(elementwise[op], [a, b], {});
  const slim = apply(elementwise[op], [slimA, slimB], {});
  return sameShape(slim.type.shape, full) ? slim : expand(slim, full);
}

const unexpanded = (v: Value): Value => nodeOf(v, broadcasting.expand)?.inputs[0] ?? v;

const lift = (v: Value | number): Value => (typeof v === 'number' ? scalar(v) : v);

/** a + b, broadcasting. https://onnx.ai/onnx/operators/onnx__Add.html */
export const add = (a: Value | number, b: Value | number): Value => binary('add', lift(a), lift(b));
/** a − b, broadcasting. */
export const sub = (a: Value | number, b: Value | number): Value => binary('sub', lift(a), lift(b));
/** a · b, element by element, broadcasting. */
export const mul = (a: Value | number, b: Value | number): Value => binary('mul', lift(a), lift(b));
/** a / b, broadcasting. */
export const div = (a: Value | number, b: Value | number): Value => binary('div', lift(a), lift(b));
export const neg = (x: Value): Value => apply(elementwise.neg, [x], {});
/** x². */
export const square = (x: Value): Value => apply(elementwise.square, [x], {});
export const sqrt = (x: Value): Value => apply(elementwise.sqrt, [x], {});
/** 1 / x. */
export const reciprocal = (x: Value): Value => apply(elementwise.reciprocal, [x], {});
export const exp = (x: Value): Value => apply(elementwise.exp, [x], {});
export const abs = (x: Value): Value => apply(elementwise.abs, [x], {});
/** max(x, 0). */
export const relu = (x: Value): Value => apply(elementwise.relu, [x], {});
/** 1 where x > 0, else 0, as float32 (a mask to multiply with; exact for |x| ≥ 1e-30). */
export const step = (x: Value): Value => apply(elementwise.step, [x], {});
/** To the nearest integer, halves to even; derivatives pass straight through. https://onnx.ai/onnx/operators/onnx__Round.html */
export const round = (x: Value): Value => apply(elementwise.round, [x], {});
/** min(max(x, min), max). */
export const clip = (x: Value, min: number, max: number): Value => apply(elementwise.clip, [x], { min, max });
/** Converts the element type; floats are truncated towards zero. */
export const cast = (x: Value, to: DType): Value => apply(elementwise.cast, [x], { to });
/** The sum of the values that are defined; at least one must be. */
export const sumOf = (terms: readonly (Value | undefined)[]): Value =>
  terms.filter((v) => v !== undefined).reduce((a, b) => add(a, b));
/** a = b as bool, broadcasting. */
export const equal = (a: Value, b: Value): Value => apply(elementwise.equal, [a, b], {});
/** a < b as bool, broadcasting. */
export const less = (a: Value, b: Value): Value => apply(elementwise.less, [a, b], {});

function together([a, b]: readonly TensorType[], dtype?: DType): TensorType[] {
  if (a!.dtype !== b!.dtype) throw new Error(`element types differ: ${a!.dtype} and ${b!.dtype}`);
  return [{ dtype: dtype ?? a!.dtype, shape: broadcast(a!.shape, b!.shape) }];
}

const twoSets = [
  { inputs: [tensor('float32', [2, 3], [1, -2, 3, 4, 5, -6]), tensor('float32', [3], [0.5, 2, -4])], attrs: {} },
  { inputs: [tensor('float32', [2, 1], [3, -2]), tensor('float32', [1, 2], [0.5, 7])], attrs: {} },
] as const;

/** ∂y/∂operand applied to v, element by element, before axes that were broadcast are summed or repeated. */
type Partial = (v: Value, node: Node) => Value;

const arithmetic = (type: string, partials: readonly [Partial, Partial]): OpRules<None> => ({
  infer: (inputs) => together(inputs),
  vjp: ([g], node) => partials.map((partial, i) => sumTo(partial(g!, node), node.inputs[i]!.type.shape)),
  jvp: (tangents, node) => {
    const moved = sumOf(partials.map((partial, i) => tangents[i] && partial(tangents[i], node)));
    return [expand(moved, node.outputs[0]!.type.shape)];
  },
  onnx: () => ({ type }),
  examples: twoSets,
});

const comparison = (type: string): OpRules<None> => ({
  infer: (inputs) => together(inputs, 'bool'),
  vjp: 'none',
  jvp: 'none',
  onnx: () => ({ type }),
  examples: twoSets,
});

const spread = tensor('float32', [2, 3], [-2.3, -0.7, -0.4, 0.6, 1.3, 2.6]);
const positive = tensor('float32', [2, 2], [0.5, 1.1, 2.3, 4]);

/**
 * An op of one operand.
 * @param derivative f'(x)·v from x, y = f(x) and v. It serves both directions, since the Jacobian is diagonal.
 */
const unary = (
  type: string,
  derivative: ((x: Value, y: Value, v: Value) => Value) | 'none',
  options: { at?: typeof spread; attributes?: Record<string, OnnxAttribute> } = {},
): OpRules<None> => ({
  infer: ([x]) => [x!],
  vjp: derivative === 'none' ? 'none' : ([g], { inputs, outputs }) => [derivative(inputs[0]!, outputs[0]!, g!)],
  jvp: derivative === 'none' ? 'none' : ([t], { inputs, outputs }) => [derivative(inputs[0]!, outputs[0]!, t!)],
  onnx: () => ({ type, attributes: options.attributes ?? {} }),
  examples: [{ inputs: [options.at ?? spread], attrs: {} }],
});

// d clip(x) = [min < x < max] dx
const unclipped = (x: Value, { min, max }: ElementwiseAttrs['clip'], v: Value): Value =>
  mul(v, mul(step(sub(x, min)), step(sub(max, x))));

/** Ops that act on each element alone. */
export const elementwise = family<ElementwiseAttrs>({
  // d(a + b) = da + db
  add: arithmetic('Add', [(v) => v, (v) => v]),
  // d(a − b) = da − db
  sub: arithmetic('Sub', [(v) => v, (v) => neg(v)]),
  // d(a b) = b da + a db
  mul: arithmetic('Mul', [(v, { inputs: [, b] }) => mul(v, b!), (v, { inputs: [a] }) => mul(v, a!)]),
  // d(a / b) = da / b − (a / b) / b db
  div: arithmetic('Div', [
    (v, { inputs: [, b] }) => div(v, b!),
    (v, { inputs: [, b], outputs: [y] }) => neg(mul(v, div(y!, b!))),
  ]),
  neg: unary('Neg', (_x, _y, v) => neg(v)),
  // ONNX has no Square: a product with itself, for which one rule serves instead of two equal terms. d x² = 2x dx
  square: { ...unary('Mul', (x, _y, v) => mul(x, mul(v, 2))), onnx: () => ({ type: 'Mul', operands: [0, 0] }) },
  // d √x = dx / (2 √x)
  sqrt: unary('Sqrt', (_x, y, v) => div(mul(v, 0.5), y), { at: positive }),
  // d (1/x) = −1/x² dx
  reciprocal: unary('Reciprocal', (_x, y, v) => neg(mul(v, square(y))), { at: positive }),
  exp: unary('Exp', (_x, y, v) => mul(v, y)),
  // d |x| = sign(x) dx
  abs: unary('Abs', (x, _y, v) => mul(v, sub(mul(step(x), 2), 1))),
  // d relu(x) = [x > 0] dx, and [relu(x) > 0] is the same mask
  relu: unary('Relu', (_x, y, v) => mul(v, step(y))),
  // A steep HardSigmoid: max(0, min(1, 1e30 x)), many times cheaper on the CPU than a comparison and a cast
  step: unary('HardSigmoid', 'none', { attributes: { alpha: { float: 1e30 }, beta: { float: 0 } } }),
  // Straight-through: d round(x) = dx, although the true derivative is zero almost everywhere. Rounding to a fine grid is
  // then differentiated as if it were not there, which is off by no more than the grid is coarse.
  round: unary('Round', (_x, _y, v) => v),
  clip: {
    infer: ([x]) => [x!],
    vjp: ([g], { inputs: [x], attrs }) => [unclipped(x!, attrs, g!)],
    jvp: ([t], { inputs: [x], attrs }) => [unclipped(x!, attrs, t!)],
    onnx: ({ min, max }) => ({
      type: 'Clip',
      constants: [tensor('float32', [], [min]), tensor('float32', [], [max])],
    }),
    examples: [{ inputs: [spread], attrs: { min: -0.5, max: 1 } }],
  },
  cast: {
    infer: ([x], { to }) => [{ dtype: to, shape: x!.shape }],
    vjp: 'none',
    jvp: 'none',
    onnx: ({ to }) => ({ type: 'Cast', attributes: { to: onnxType(to) } }),
    examples: [{ inputs: [positive], attrs: { to: 'uint8' } }],
  },
  equal: comparison('Equal'),
  less: comparison('Less'),
});

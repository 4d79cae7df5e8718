import { apply, type Value } from '../graph.js';
import { family } from '../op.js';
import { broadcast, type Shape, type TensorType } from '../shape.js';
import { expand, sumTo } from './broadcast.js';
import { sumOf } from './elementwise.js';

export interface Transposes {
  transA: boolean;
  transB: boolean;
}

export interface MatmulAttrs {
  matmul: Transposes;
  gemm: Transposes;
}

const asIs: Transposes = { transA: false, transB: false };

/**
 * Matrix product over the last two axes, [..., M, K] · [..., K, N] → [..., M, N]; leading axes broadcast.
 * `transA`/`transB` transpose the last two axes first. https://onnx.ai/onnx/operators/onnx__MatMul.html
 */
export const matmul = (a: Value, b: Value, transposes: Partial<Transposes> = {}): Value =>
  apply(products.matmul, [a, b], { ...asIs, ...transposes });

/** A · B + bias of matrices, [M, K] · [K, N] + [N] → [M, N]. https://onnx.ai/onnx/operators/onnx__Gemm.html */
export const gemm = (a: Value, b: Value, bias: Value, transposes: Partial<Transposes> = {}): Value =>
  apply(products.gemm, [a, b, bias], { ...asIs, ...transposes });

function productShape([a, b]: readonly TensorType[], { transA, transB }: Transposes): Shape {
  const [x, y] = [a!.shape, b!.shape];
  if (x.length < 2 || y.length < 2) throw new Error('a matrix product needs operands of rank 2 or more');
  const rows = x.at(transA ? -1 : -2)!;
  const inner = [x.at(transA ? -2 : -1)!, y.at(transB ? -1 : -2)!];
  if (inner[0] !== inner[1]) throw new Error(`inner dimensions differ: ${inner[0]} and ${inner[1]}`);
  return [...broadcast(x.slice(0, -2), y.slice(0, -2)), rows, y.at(transB ? -2 : -1)!];
}

/** Gradients of y = op(a) · op(b), before axes that were broadcast are summed. */
function adjoints(g: Value, a: Value, b: Value, { transA, transB }: Transposes): [Value, Value] {
  const da = transA ? matmul(b, g, { transA: transB, transB: true }) : matmul(g, b, { transB: !transB }); // da = g · op(b)ᵀ
  const db = transB ? matmul(g, a, { transA: true, transB: transA }) : matmul(a, g, { transA: !transA }); // db = op(a)ᵀ · g
  return [da, db];
}

const flags = ({ transA, transB }: Transposes) => ({ transA: Number(transA), transB: Number(transB) });

/** The terms of d(A B) = dA B + A dB. */
const tangent = ([ta, tb]: readonly (Value | undefined)[], [a, b]: readonly Value[], attrs: Transposes) => [
  ta && matmul(ta, b!, attrs),
  tb && matmul(a!, tb, attrs),
];

export const products = family<MatmulAttrs>({
  matmul: {
    infer: (inputs, attrs) => [{ dtype: inputs[0]!.dtype, shape: productShape(inputs, attrs) }],
    vjp: ([g], { inputs: [a, b], attrs }) => {
      const [da, db] = adjoints(g!, a!, b!, attrs);
      return [sumTo(da, a!.type.shape), sumTo(db, b!.type.shape)];
    },
    jvp: (tangents, { inputs, attrs }) => [sumOf(tangent(tangents, inputs, attrs))],
    onnx: (attrs) =>
      attrs.transA || attrs.transB
        ? { type: 'FusedMatMul', domain: 'com.microsoft', attributes: flags(attrs) }
        : { type: 'MatMul' },
    examples: [
      {
        inputs: [
          [2, 3],
          [3, 4],
        ],
        attrs: asIs,
      },
      {
        inputs: [
          [3, 2],
          [4, 3],
        ],
        attrs: { transA: true, transB: true },
      },
      {
        inputs: [
          [3, 2],
          [5, 3, 4],
        ],
        attrs: { transA: true, transB: false },
      },
      {
        inputs: [
          [2, 1, 2, 3],
          [4, 5, 3],
        ],
        attrs: { transA: false, transB: true },
      },
    ],
  },
  gemm: {
    infer: ([a, b, bias], attrs) => {
      const shape = productShape([a!, b!], attrs);
      if (shape.length !== 2) throw new Error('gemm takes matrices');
      broadcast(bias!.shape, shape);
      return [{ dtype: 'float32', shape }];
    },
    vjp: ([g], { inputs: [a, b, bias], attrs }) => [...adjoints(g!, a!, b!, attrs), sumTo(g!, bias!.type.shape)],
    jvp: ([ta, tb, tbias], { inputs, outputs: [y], attrs }) => [
      expand(sumOf([...tangent([ta, tb], inputs, attrs), tbias]), y!.type.shape),
    ],
    onnx: (attrs) => ({ type: 'Gemm', attributes: flags(attrs) }),
    examples: [
      { inputs: [[2, 3], [3, 4], [4]], attrs: asIs },
      {
        inputs: [
          [3, 2],
          [4, 3],
          [2, 1],
        ],
        attrs: { transA: true, transB: true },
      },
    ],
  },
});

import { apply, type Value } from '../graph.js';
import { family } from '../op.js';
import { product, type Shape, staticShape, type TensorType, windowed } from '../shape.js';
import { sumOf } from './elementwise.js';
import { reshape, slice, transpose } from './movement.js';

export interface ConvOptions {
  stride: number;
  padding: number;
  dilation: number;
  groups: number;
}

export interface ConvAttrs {
  conv: ConvOptions;
  convTranspose: ConvOptions & { outputPadding: number };
}

const plain: ConvOptions = { stride: 1, padding: 0, dilation: 1, groups: 1 };

/**
 * Convolution without bias: x [N, C, H, W], w [O, C/groups, Kh, Kw] → [N, O, H', W'].
 * https://onnx.ai/onnx/operators/onnx__Conv.html
 */
export const conv = (x: Value, w: Value, options: Partial<ConvOptions> = {}): Value =>
  apply(convolutions.conv, [x, w], { ...plain, ...options });

/**
 * The adjoint of `conv` in its input: x [N, O, H', W'], w [O, C/groups, Kh, Kw] → [N, C, H, W].
 * `outputPadding` rows are added below, where the stride hid them. https://onnx.ai/onnx/operators/onnx__ConvTranspose.html
 */
export const convTranspose = (x: Value, w: Value, options: Partial<ConvAttrs['convTranspose']> = {}): Value =>
  apply(convolutions.convTranspose, [x, w], { ...plain, outputPadding: 0, ...options });

/** @throws Error unless x is float32 [N, C, H, W] */
export function rankFour(x: TensorType, what: string): Shape {
  if (x.shape.length !== 4 || x.dtype !== 'float32') throw new Error(`${what} must be float32 of rank 4`);
  return x.shape;
}

/** Height or width of the input that a convolution maps to `size`, but for what its stride hides. */
const grown = (size: number, kernel: number, { stride, padding, dilation }: ConvOptions): number =>
  (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1;

function missingRows(x: Shape, y: Shape, w: Shape, attrs: ConvOptions): number {
  const [rows, columns] = [2, 3].map((axis) => {
    const [from, to, kernel] = staticShape([x[axis]!, y[axis]!, w[axis]!]) as [number, number, number];
    return from - grown(to, kernel, attrs);
  });
  if (rows !== columns) throw new Error('the gradient of a convolution needs the same remainder in height and width');
  return rows!;
}

/**
 * Gradient of a convolution's weights, itself a convolution: channels become the batch, the batch becomes channels,
 * and the output's gradient is the kernel, dilated by the stride.
 */
function weightGradient(x: Value, g: Value, kernel: readonly number[], attrs: ConvOptions): Value {
  const { stride, padding, dilation, groups } = attrs;
  const [n, c, h, w] = x.type.shape as [number, number, number, number];
  const grouped = transpose(reshape(x, [n, groups, c / groups, h, w]), [2, 1, 0, 3, 4]);
  const images = reshape(grouped, [c / groups, product([groups, n]), h, w]);
  const filters = transpose(g, [1, 0, 2, 3]);
  const dw = conv(images, filters, { stride: dilation, dilation: stride, padding, groups });
  return transpose(slice(slice(dw, 2, 0, kernel[0]!), 3, 0, kernel[1]!), [1, 0, 2, 3]);
}

const convAttributes = ({ stride, padding, dilation, groups }: ConvOptions, w: TensorType) => ({
  kernel_shape: staticShape(w.shape.slice(2)),
  strides: [stride, stride],
  pads: [padding, padding, padding, padding],
  dilations: [dilation, dilation],
  group: groups,
});

/** Convolution and its adjoint. Each is linear in x and in w: d(x ∗ w) = dx ∗ w + x ∗ dw. */
export const convolutions = family<ConvAttrs>({
  conv: {
    infer: ([x, w], attrs) => {
      const [n, c, height, width] = rankFour(x!, 'x');
      const [out, inner, kh, kw] = rankFour(w!, 'w');
      const { stride, padding, dilation, groups } = attrs;
      if (c !== product([inner!, groups])) throw new Error(`x has ${c} channels, w takes ${product([inner!, groups])}`);
      if (typeof out === 'number' && out % groups !== 0) throw new Error(`${out} outputs in ${groups} groups`);
      const along = (size: Shape[number], kernel: Shape[number]) => {
        const reach = dilation * (staticShape([kernel])[0]! - 1) + 1;
        return windowed(size, { kernel: reach, stride, padding });
      };
      return [{ dtype: 'float32', shape: [n!, out!, along(height!, kh!), along(width!, kw!)] }];
    },
    vjp: ([g], { inputs: [x, w], outputs: [y], attrs }) => {
      const kernel = staticShape(w!.type.shape.slice(2));
      const outputPadding = missingRows(x!.type.shape, y!.type.shape, w!.type.shape, attrs);
      return [convTranspose(g!, w!, { ...attrs, outputPadding }), weightGradient(x!, g!, kernel, attrs)];
    },
    jvp: ([tx, tw], { inputs: [x, w], attrs }) => [sumOf([tx && conv(tx, w!, attrs), tw && conv(x!, tw, attrs)])],
    onnx: (attrs, [, w]) => ({ type: 'Conv', attributes: convAttributes(attrs, w!) }),
    examples: [
      {
        inputs: [
          [2, 3, 5, 5],
          [4, 3, 3, 3],
        ],
        attrs: { ...plain, padding: 1 },
      },
      {
        inputs: [
          [2, 3, 6, 6],
          [4, 3, 3, 3],
        ],
        attrs: { ...plain, padding: 1, stride: 2 },
      },
      {
        inputs: [
          [2, 4, 5, 7],
          [6, 2, 1, 3],
        ],
        attrs: { ...plain, groups: 2 },
      },
      {
        inputs: [
          [1, 2, 9, 9],
          [2, 1, 3, 3],
        ],
        attrs: { stride: 2, padding: 2, dilation: 2, groups: 2 },
      },
    ],
  },
  convTranspose: {
    infer: ([x, w], attrs) => {
      const [n, c, height, width] = rankFour(x!, 'x');
      const [from, inner, kh, kw] = rankFour(w!, 'w');
      if (c !== from) throw new Error(`x has ${c} channels, w takes ${from}`);
      if (attrs.outputPadding < 0 || attrs.outputPadding >= attrs.stride) throw new Error('0 ≤ outputPadding < stride');
      const along = (size: Shape[number], kernel: Shape[number]) => {
        const [s, k] = staticShape([size, kernel]) as [number, number];
        return grown(s, k, attrs) + attrs.outputPadding;
      };
      return [
        { dtype: 'float32', shape: [n!, product([inner!, attrs.groups]), along(height!, kh!), along(width!, kw!)] },
      ];
    },
    // The adjoint of an adjoint is the convolution; in the weights, input and gradient trade places.
    vjp: ([g], { inputs: [x, w], attrs: { outputPadding: _, ...attrs } }) => [
      conv(g!, w!, attrs),
      weightGradient(g!, x!, staticShape(w!.type.shape.slice(2)), attrs),
    ],
    jvp: ([tx, tw], { inputs: [x, w], attrs }) => [
      sumOf([tx && convTranspose(tx, w!, attrs), tw && convTranspose(x!, tw, attrs)]),
    ],
    onnx: (attrs, [, w]) => ({
      type: 'ConvTranspose',
      attributes: { ...convAttributes(attrs, w!), output_padding: [attrs.outputPadding, attrs.outputPadding] },
    }),
    examples: [
      {
        inputs: [
          [2, 4, 3, 3],
          [4, 3, 3, 3],
        ],
        attrs: { ...plain, padding: 1, stride: 2, outputPadding: 1 },
      },
      {
        inputs: [
          [2, 4, 3, 5],
          [4, 3, 3, 3],
        ],
        attrs: { ...plain, groups: 2, outputPadding: 0 },
      },
    ],
  },
});

import { apply, type Value } from '../graph.js';
import { family } from '../op.js';
import { staticShape, type Window, windowed } from '../shape.js';
import { sizeOf, tensor } from '../tensor.js';
import { rankFour } from './conv.js';
import { cast, div, equal, mul, sumOf } from './elementwise.js';
import { pad, slice, unslice } from './movement.js';

export interface PoolAttrs {
  maxPool: Window;
}

/** Largest element in each window; padding never wins. https://onnx.ai/onnx/operators/onnx__MaxPool.html */
export const maxPool = (x: Value, options: Window): Value => apply(pooling.maxPool, [x], options);

const margins = (padding: number): readonly number[] => [0, 0, padding, padding];

/**
 * The windows of x taken apart: entry [i][j] holds, for each window, its element in row i and column j, [N, C, H', W'].
 * @param outside what windows read in the padding
 */
function windowElements(x: Value, y: Value, { kernel, stride, padding }: Window, outside: number): Value[][] {
  const [rows, columns] = staticShape(y.type.shape.slice(2)) as [number, number];
  const canvas = padding === 0 ? x : pad(x, margins(padding), margins(padding), outside);
  const offsets = Array.from({ length: kernel }, (_, i) => i);
  const along = (v: Value, axis: number, offset: number, count: number) =>
    slice(v, axis, offset, offset + (count - 1) * stride + 1, stride);
  return offsets.map((i) => {
    const row = along(canvas, 2, i, rows);
    return offsets.map((j) => along(row, 3, j, columns));
  });
}

/** For each element of the windows, as `windowElements` orders them: [x = max] / n, where n elements tie for the maximum. */
function shares(x: Value, y: Value, window: Window): Value[][] {
  const winners = windowElements(x, y, window, Number.NEGATIVE_INFINITY).map((row) =>
    row.map((element) => cast(equal(element, y), 'float32')),
  );
  const ties = sumOf(winners.flat());
  return winners.map((row) => row.map((winner) => div(winner, ties)));
}

/** Distinct numbers in a mixed order, further apart than finite differences move them. */
const distinct = (dims: readonly number[]) =>
  tensor(
    'float32',
    dims,
    Array.from({ length: sizeOf(dims) }, (_, i) => ((37 * i) % 211) / 20),
  );

export const pooling = family<PoolAttrs>({
  // d max(x) = Σ [x = max] dx / n over each window: the n elements that tie for the maximum share the gradient equally.
  // ONNX Runtime has no gradient of MaxPool for inference, so it is made of k² strided slices and their adjoints.
  maxPool: {
    infer: ([x], window) => {
      const [n, c, h, w] = rankFour(x!, 'x');
      if (window.padding >= window.kernel) throw new Error('padding must be smaller than the kernel');
      return [{ dtype: 'float32', shape: [n!, c!, windowed(h!, window), windowed(w!, window)] }];
    },
    vjp: ([g], { inputs: [x], outputs: [y], attrs: window }) => {
      const { stride, padding } = window;
      const [height, width] = staticShape(x!.type.shape.slice(2)) as [number, number];
      const rows = shares(x!, y!, window).map((row, i) => {
        const cells = row.map((share, j) => unslice(mul(share, g!), 3, j, stride, width + 2 * padding));
        return unslice(sumOf(cells), 2, i, stride, height + 2 * padding);
      });
      const canvas = sumOf(rows);
      if (padding === 0) return [canvas];
      return [slice(slice(canvas, 2, padding, padding + height), 3, padding, padding + width)];
    },
    jvp: ([t], { inputs: [x], outputs: [y], attrs: window }) => {
      const moved = windowElements(t!, y!, window, 0).flat();
      return [
        sumOf(shares(x!, y!, window).flatMap((row, i) => row.map((s, j) => mul(s, moved[i * window.kernel + j]!)))),
      ];
    },
    onnx: ({ kernel, stride, padding }) => ({
      type: 'MaxPool',
      attributes: {
        kernel_shape: [kernel, kernel],
        strides: [stride, stride],
        pads: [padding, padding, padding, padding],
      },
    }),
    examples: [
      { inputs: [distinct([2, 2, 7, 7])], attrs: { kernel: 3, stride: 2, padding: 1 } },
      { inputs: [distinct([1, 2, 6, 9])], attrs: { kernel: 2, stride: 2, padding: 0 } },
      { inputs: [distinct([1, 1, 5, 6])], attrs: { kernel: 3, stride: 1, padding: 0 } },
    ],
  },
});

import { apply, constant, type Value } from '../graph.js';
import { family } from '../op.js';
import { staticShape } from '../shape.js';
import { type Tensor, tensor, zeros } from '../tensor.js';
import { reduceSum } from './broadcast.js';
import { concat, reshape } from './movement.js';

export interface GatherAttrs {
  gather: { zeroRow: boolean };
}

/**
 * Rows of x by number: x [R, …] and int64 indices [I…] → [I…, …]. Index R, one past the last row, reads zeros: for index
 * tables in which some entries point at nothing. https://onnx.ai/onnx/operators/onnx__Gather.html
 */
export const gatherOrZero = (x: Value, indices: Value): Value => {
  const row = staticShape(x.type.shape.slice(1));
  return gather(concat([x, constant(zeros([1, ...row]))], 0), indices, { zeroRow: true });
};

const gather = (x: Value, indices: Value, attrs: GatherAttrs['gather']): Value =>
  apply(gathering.gather, [x, indices], attrs);

/** For every row below `wanted`, the positions in `indices` that name it; short lists are filled up with `filler`. */
function readersOf(indices: Tensor, rows: number, wanted: number, filler: number): Tensor {
  const readers = Array.from({ length: rows }, () => [] as number[]);
  Array.from(indices.data, Number).forEach((row, at) => {
    if (row < wanted) readers[row]!.push(at);
  });
  const width = Math.max(1, ...readers.map((r) => r.length));
  const table = readers.flatMap((r) => [...r, ...new Array<number>(width - r.length).fill(filler)]);
  return tensor('int64', [rows, width], table);
}

export const gathering = family<GatherAttrs>({
  /** `zeroRow`: the last row of x is zero by construction, so nothing wants its gradient. */
  gather: {
    infer: ([x, indices]) => {
      if (x!.shape.length < 1) throw new Error('a scalar has no rows');
      if (indices!.dtype !== 'int64') throw new Error('indices must be int64');
      return [{ dtype: x!.dtype, shape: [...indices!.shape, ...x!.shape.slice(1)] }];
    },
    // The adjoint adds up, for each row, the gradients of the places that read it: a gather again, then a sum. The zero
    // row is left out: it is read most of all and would make the table of readers wide.
    vjp: ([g], { inputs: [x, indices], attrs: { zeroRow } }) => {
      if (indices!.source.kind !== 'constant') throw new Error('gather has a gradient only for constant indices');
      const table = indices!.source.tensor;
      const reads = table.data.length;
      const [rows] = staticShape(x!.type.shape) as [number];
      const readers = readersOf(table, rows, zeroRow ? rows - 1 : rows, reads);
      const flat = reshape(g!, [reads, ...x!.type.shape.slice(1)]);
      return [reduceSum(gatherOrZero(flat, constant(readers)), [1]), undefined];
    },
    jvp: ([t], { inputs: [, indices], attrs }) => [gather(t!, indices!, attrs)],
    onnx: () => ({ type: 'Gather', attributes: { axis: 0 } }),
    examples: [{ inputs: [[4, 3], tensor('int64', [2, 3], [0, 2, 2, 3, 0, 2])], attrs: { zeroRow: false } }],
  },
});

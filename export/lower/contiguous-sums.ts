import { isOp, type Value } from '../graph/graph.js';
import { broadcasting, reduceSum } from '../graph/ops/broadcast.js';
import { mul } from '../graph/ops/elementwise.js';
import { reduce } from '../graph/ops/reduce.js';
import { type Renamed, rewrite } from '../graph/rewrite.js';
import { axisOf, staticShape } from '../graph/shape.js';
import { sizeOf } from '../graph/tensor.js';

/**
 * Writes sums and means over axes as sums over neighbouring axes, one group after the other, the last first. For those at the
 * front or at the back ONNX Runtime's CUDA provider has kernels of its own; for all else it asks cuDNN.
 */
export function contiguousSums(outputs: readonly Value[]): Renamed {
  return rewrite(outputs, (node, [x]) => {
    const mean = isOp(node, reduce.reduceMean);
    if (!mean && !isOp(node, broadcasting.reduceSum)) return undefined;
    const { keepdims } = node.attrs;
    const axes = node.attrs.axes.map((axis) => axisOf(axis, x!.type.shape.length));
    const sum = neighbours(axes).reduceRight((value, group) => reduceSum(value, group, keepdims), x!);
    return [mean ? mul(sum, 1 / sizeOf(staticShape(axes.map((axis) => x!.type.shape[axis]!)))) : sum];
  });
}

/** Axes in groups that lie side by side, in order. */
function neighbours(axes: readonly number[]): number[][] {
  const groups: number[][] = [];
  for (const axis of [...axes].sort((a, b) => a - b)) {
    if (groups.at(-1)?.at(-1) === axis - 1) groups.at(-1)!.push(axis);
    else groups.push([axis]);
  }
  return groups;
}

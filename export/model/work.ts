import { type Graph, isOp, topological } from '../graph/graph.js';
import { convolutions } from '../graph/ops/conv.js';
import { products } from '../graph/ops/matmul.js';
import { staticShape } from '../graph/shape.js';
import { sizeOf } from '../graph/tensor.js';

/** Multiply-adds of convolutions and linear layers for one image; the first axis of every value is the batch. */
export const multiplyAdds = ({ outputs }: Graph): number =>
  topological(Object.values(outputs)).reduce((sum, node) => {
    const [x, w] = node.inputs;
    const perOutput = isOp(node, convolutions.conv) ? w : isOp(node, products.gemm) ? x : undefined;
    if (perOutput === undefined) return sum;
    const sizes = [node.outputs[0]!, perOutput].map((v) => sizeOf(staticShape(v.type.shape.slice(1))));
    return sum + sizes[0]! * sizes[1]!;
  }, 0);

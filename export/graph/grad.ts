import { constant, definition, GraphError, type Node, scalar, topological, type Value } from './graph.js';
import { add } from './ops/elementwise.js';
import { expand } from './ops/movement.js';
import { sameShape, staticShape } from './shape.js';
import { zeros } from './tensor.js';

/**
 * Vector-Jacobian product: Σ cotangentᵢ · ∂outputᵢ/∂wrt for every `wrt`, in reverse mode over the same graph.
 * The walker knows topological order and accumulation; each op's rule stands with the op.
 * @throws GraphError where an op without a gradient lies on the way
 */
export function vjp(outputs: readonly Value[], cotangents: readonly Value[], wrt: readonly Value[]): Value[] {
  const gradients = new Map<Value, Value>();
  const accumulate = (value: Value, g: Value): void => {
    const before = gradients.get(value);
    gradients.set(value, before === undefined ? g : add(before, g));
  };
  outputs.forEach((y, i) => {
    accumulate(y, cotangents[i]!);
  });
  const order = topological(outputs);
  const relevant = dependents(order, new Set(wrt));
  for (const node of order.reverse()) {
    if (!node.outputs.some((y) => relevant.has(y) && gradients.has(y))) continue;
    pullBack(node, gradients).forEach((g, i) => {
      if (g !== undefined && relevant.has(node.inputs[i]!)) accumulate(node.inputs[i]!, g);
    });
  }
  return wrt.map((v) => gradients.get(v) ?? constant(zeros(staticShape(v.type.shape))));
}

/** Gradient of a scalar loss with respect to each of `wrt`. */
export function grad(loss: Value, wrt: readonly Value[]): Value[] {
  if (loss.type.shape.length > 0) throw new GraphError(`a loss is a scalar, got shape [${loss.type.shape.join(', ')}]`);
  return vjp([loss], [scalar(1)], wrt);
}

/** The values of `order` through which something in `wrt` acts, `wrt` included. */
function dependents(order: readonly Node[], wrt: ReadonlySet<Value>): Set<Value> {
  const found = new Set(wrt);
  for (const node of order) {
    if (node.inputs.some((x) => found.has(x))) {
      for (const y of node.outputs) found.add(y);
    }
  }
  return found;
}

function pullBack(node: Node, gradients: ReadonlyMap<Value, Value>): readonly (Value | undefined)[] {
  const rule = definition(node.op).vjp;
  if (rule === 'none')
    throw new GraphError(`${node.op} has no gradient, but the loss depends on a variable through it`);
  const grads = node.outputs.map((y) => gradients.get(y) ?? constant(zeros(staticShape(y.type.shape))));
  const pulled = rule(grads, node);
  pulled.forEach((g, i) => {
    const x = node.inputs[i]!;
    if (g !== undefined && !sameShape(g.type.shape, x.type.shape)) {
      const [got, expected] = [g.type.shape.join(', '), x.type.shape.join(', ')];
      throw new GraphError(`the gradient rule of ${node.op} gave [${got}] for an input of shape [${expected}]`);
    }
  });
  return pulled;
}

/** A cotangent of ones, for a value whose every element counts alike. */
export const ones = (like: Value): Value => expand(scalar(1), like.type.shape);

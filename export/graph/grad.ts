import { GraphError, type Node, scalar, topological, type Value, zerosLike } from './graph.js';
import { add } from './ops/elementwise.js';
import { sameShape } from './shape.js';

/** A sum for each value, to which terms are added as they come. */
class Sums {
  private readonly sums = new Map<Value, Value>();

  has = (value: Value): boolean => this.sums.has(value);
  get = (value: Value): Value | undefined => this.sums.get(value);
  /** The sum, or zeros where nothing was added. */
  orZeros = (value: Value): Value => this.sums.get(value) ?? zerosLike(value);
  add(value: Value, term: Value): void {
    const before = this.sums.get(value);
    this.sums.set(value, before === undefined ? term : add(before, term));
  }
}

/**
 * Vector-Jacobian product Jᵀ·u: Σ cotangentᵢ · ∂outputᵢ/∂wrt for every `wrt`, in reverse mode over the same graph.
 * This function knows the order of nodes and the sums; each op's rule stands with the op.
 * @param cotangents u: one for each output, of its shape
 * @param until values that are taken to be independent of one another and of all else: nothing is pulled back through them
 * @returns one gradient for each of `wrt`, of its shape; zeros where no output depends on it
 * @throws GraphError where an op without a gradient lies between an output and one of `wrt`
 */
export function vjp(
  outputs: readonly Value[],
  cotangents: readonly Value[],
  wrt: readonly Value[],
  until?: ReadonlySet<Value>,
): Value[] {
  const gradients = new Sums();
  outputs.forEach((y, i) => {
    gradients.add(y, cotangents[i]!);
  });
  const order = topological(outputs, until);
  const relevant = dependents(order, new Set(wrt));
  for (const node of order.reverse()) {
    if (!node.outputs.some((y) => relevant.has(y) && gradients.has(y))) continue;
    pullBack(node, gradients).forEach((g, i) => {
      if (g !== undefined && relevant.has(node.inputs[i]!)) gradients.add(node.inputs[i]!, g);
    });
  }
  return wrt.map(gradients.orZeros);
}

/**
 * Jacobian-vector product J·v: Σ ∂output/∂wrtᵢ · tangentᵢ for every output, in forward mode over the same graph.
 * @param tangents v: one for each of `wrt`, of its shape
 * @returns one tangent for each output, of its shape; zeros where it depends on none of `wrt`
 * @throws GraphError where an op without a derivative lies between one of `wrt` and an output
 */
export function jvp(outputs: readonly Value[], wrt: readonly Value[], tangents: readonly Value[]): Value[] {
  const moved = new Sums();
  wrt.forEach((x, i) => {
    moved.add(x, tangents[i]!);
  });
  for (const node of topological(outputs)) {
    if (!node.inputs.some(moved.has)) continue;
    pushForward(node, moved).forEach((t, i) => {
      moved.add(node.outputs[i]!, t);
    });
  }
  return outputs.map(moved.orZeros);
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

function pullBack(node: Node, gradients: Sums): readonly (Value | undefined)[] {
  const { vjp } = node.op;
  if (vjp === 'none')
    throw new GraphError(`${node.op.name} has no gradient, but the loss depends on a variable through it`);
  const pulled = vjp(node.outputs.map(gradients.orZeros), node);
  checkShapes('gradient', node, pulled, node.inputs);
  return pulled;
}

function pushForward(node: Node, moved: Sums): readonly Value[] {
  const { jvp } = node.op;
  if (jvp === 'none')
    throw new GraphError(`${node.op.name} has no derivative, but an output depends on a variable through it`);
  const pushed = jvp(node.inputs.map(moved.get), node);
  checkShapes('tangent', node, pushed, node.outputs);
  return pushed;
}

function checkShapes(what: string, { op }: Node, results: readonly (Value | undefined)[], of: readonly Value[]): void {
  results.forEach((result, i) => {
    const [got, expected] = [result?.type.shape, of[i]!.type.shape];
    if (got !== undefined && !sameShape(got, expected))
      throw new GraphError(
        `the ${what} rule of ${op.name} gave [${got.join(', ')}] for a shape of [${expected.join(', ')}]`,
      );
  });
}

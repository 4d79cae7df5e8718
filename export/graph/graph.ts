import type { Node, OpDef, ParameterRole, Source, Value } from './op.js';
import { type Shape, show, staticShape } from './shape.js';
import { type DType, type Tensor, tensor, zeros } from './tensor.js';

export type { Node, ParameterRole, Value } from './op.js';

/** A parameter leaf, whose name and role are at hand. */
export interface Parameter extends Value {
  readonly source: Extract<Source, { kind: 'parameter' }>;
}

/** A graph is its named outputs. Nodes and leaves are found by walking back from them. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: Readonly<Record<string, Value>>;
}

/** An op was applied to inputs that it does not take. The message names the op, the inputs and their shapes. */
export class GraphError extends Error {
  override readonly name = 'GraphError';
}

/** A graph input, fed at each run. */
export const input = (name: string, dtype: DType, shape: Shape): Value => ({
  type: { dtype, shape },
  source: { kind: 'input', name },
});

/** A weight with a name, stored beside the graph. */
export const parameter = (
  name: string,
  shape: readonly number[],
  role: ParameterRole,
  dtype: DType = 'float32',
): Parameter => ({
  type: { dtype, shape },
  source: { kind: 'parameter', name, role },
});

export const constant = (value: Tensor): Value => ({
  type: { dtype: value.type, shape: value.dims },
  source: { kind: 'constant', tensor: value },
});

/** A float32 scalar. */
export const scalar = (value: number): Value => constant(tensor('float32', [], [value]));

/** Float32 zeros of a value's shape, which must be static. */
export const zerosLike = (value: Value): Value => constant(zeros(staticShape(value.type.shape)));

/**
 * Applies an op that may have several outputs. Types and shapes are inferred at once, so that an error points at the
 * offending line.
 * @throws GraphError naming the op, its inputs and their shapes
 */
export function bind<A>(op: OpDef<A>, inputs: readonly Value[], attrs: A): Value[] {
  const types = inputs.map((v) => v.type);
  const outputs: Value[] = [];
  const node: Node<A> = { op: op as OpDef<unknown>, attrs, inputs, outputs };
  try {
    const inferred = op.infer(types, attrs);
    inferred.forEach((type, index) => {
      outputs.push({ type, source: { kind: 'node', node, index } });
    });
  } catch (error) {
    const shapes = types.map(show).join(', ');
    throw new GraphError(`${op.name}(${shapes}) with ${JSON.stringify(attrs)}: ${(error as Error).message}`);
  }
  return outputs;
}

/** `bind` for the many ops with one output. */
export const apply = <A>(op: OpDef<A>, inputs: readonly Value[], attrs: A): Value => bind(op, inputs, attrs)[0]!;

/** Whether a node applies this op; if so, its attributes have the op's type. */
export const isOp = <A>(node: Node, op: OpDef<A>): node is Node<A> => node.op === op;

/** The node that computes a value, if it applies this op. */
export const nodeOf = <A>({ source }: Value, op: OpDef<A>): Node<A> | undefined =>
  source.kind === 'node' && isOp(source.node, op) ? source.node : undefined;

const nothing: ReadonlySet<Value> = new Set();

/**
 * Every node that the outputs need, each after the nodes it needs. The order depends on the graph alone.
 * @param until values whose nodes are left out, with all that only they need
 */
export function topological(outputs: Iterable<Value>, until: ReadonlySet<Value> = nothing): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const open = [...outputs]
    .reverse()
    .flatMap((v) => (v.source.kind === 'node' && !until.has(v) ? [{ node: v.source.node, next: 0 }] : []));
  while (open.length > 0) {
    const top = open[open.length - 1]!;
    if (top.next === 0 && seen.has(top.node)) {
      open.pop();
      continue;
    }
    seen.add(top.node);
    const operand = top.node.inputs[top.next++];
    if (operand === undefined) {
      order.push(top.node);
      open.pop();
    } else if (operand.source.kind === 'node' && !until.has(operand) && !seen.has(operand.source.node)) {
      open.push({ node: operand.source.node, next: 0 });
    }
  }
  return order;
}

/** The parameters that the outputs need, in the order of first use. */
export function parametersOf(outputs: Iterable<Value>): Parameter[] {
  const found = new Set<Parameter>();
  const values = [...outputs];
  for (const v of [...topological(values).flatMap((n) => n.inputs), ...values]) {
    if (v.source.kind === 'parameter') found.add(v as Parameter);
  }
  return [...found];
}

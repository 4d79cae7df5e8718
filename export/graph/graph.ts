import { type OpAttrs, type OpDef, type OpName, ops } from './ops/index.js';
import { type Shape, show, type TensorType } from './shape.js';
import { type DType, type Tensor, tensor } from './tensor.js';

/** How a parameter starts, and whether training moves it ('statistic': a running mean or variance, it does not). */
export interface ParameterRole {
  readonly init: 'fan-in' | 'zeros' | 'ones';
  readonly kind: 'trained' | 'statistic';
}

/** Where a value comes from. */
export type Source =
  | { readonly kind: 'input'; readonly name: string }
  | { readonly kind: 'parameter'; readonly name: string; readonly role: ParameterRole }
  | { readonly kind: 'constant'; readonly tensor: Tensor }
  | { readonly kind: 'node'; readonly node: Node; readonly index: number };

/** A tensor in a graph: its type is known as soon as it exists. */
export interface Value {
  readonly type: TensorType;
  readonly source: Source;
}

/** One op applied to values. */
export interface Node<K extends OpName = OpName> {
  readonly op: K;
  readonly attrs: OpAttrs[K];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/** A parameter leaf, whose name and role are at hand. */
export interface Parameter extends Value {
  readonly source: Extract<Source, { kind: 'parameter' }>;
}

/** A graph is its named outputs; nodes and leaves are found by walking back from them. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: Readonly<Record<string, Value>>;
}

/** An op was applied to inputs that it does not take; names the op, the inputs and their shapes. */
export class GraphError extends Error {
  override readonly name = 'GraphError';
}

/** A graph input, fed at each run. */
export const input = (name: string, dtype: DType, shape: Shape): Value => ({
  type: { dtype, shape },
  source: { kind: 'input', name },
});

/** A float32 weight with a name, stored beside the graph. */
export const parameter = (name: string, shape: readonly number[], role: ParameterRole): Parameter => ({
  type: { dtype: 'float32', shape },
  source: { kind: 'parameter', name, role },
});

export const constant = (value: Tensor): Value => ({
  type: { dtype: value.type, shape: value.dims },
  source: { kind: 'constant', tensor: value },
});

/** A float32 scalar. */
export const scalar = (value: number): Value => constant(tensor('float32', [], [value]));

/** The definition of an op, its attributes' type forgotten: for code that knows no op by name. */
export const definition = (op: OpName): OpDef<unknown> => ops()[op] as unknown as OpDef<unknown>;

/**
 * Applies an op: infers types and shapes at once, so that an error points at the offending line.
 * @throws GraphError naming the op, its inputs and their shapes
 */
export function bind<K extends OpName>(op: K, inputs: readonly Value[], attrs: OpAttrs[K]): Value[] {
  const types = inputs.map((v) => v.type);
  const outputs: Value[] = [];
  const node: Node<K> = { op, attrs, inputs, outputs };
  try {
    const inferred = definition(op).infer(types, attrs);
    inferred.forEach((type, index) => {
      outputs.push({ type, source: { kind: 'node', node, index } });
    });
  } catch (error) {
    const shapes = types.map(show).join(', ');
    throw new GraphError(`${op}(${shapes}) with ${JSON.stringify(attrs)}: ${(error as Error).message}`);
  }
  return outputs;
}

/** `bind` for the many ops with one output. */
export const apply = <K extends OpName>(op: K, inputs: readonly Value[], attrs: OpAttrs[K]): Value =>
  bind(op, inputs, attrs)[0]!;

/** Every node that the outputs need, each after the nodes it needs. The order depends on the graph alone. */
export function topological(outputs: Iterable<Value>): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const open = [...outputs]
    .reverse()
    .flatMap((v) => (v.source.kind === 'node' ? [{ node: v.source.node, next: 0 }] : []));
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
    } else if (operand.source.kind === 'node' && !seen.has(operand.source.node)) {
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

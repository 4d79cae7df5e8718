import type { Shape, TensorType } from './shape.js';
import type { Tensor } from './tensor.js';

/** How a parameter starts, and whether training changes it. A 'statistic' is a running mean or variance: gradients do not move it. */
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

/** A tensor in a graph. Its element type and shape are known as soon as it exists. */
export interface Value {
  readonly type: TensorType;
  readonly source: Source;
}

/** One op applied to values. */
export interface Node<A = unknown> {
  /** The op's definition; its attribute type is `unknown` here, and `isOp` recovers it. */
  readonly op: OpDef<unknown>;
  readonly attrs: A;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/** An ONNX attribute. Integers are plain numbers; floats are marked, since JavaScript does not tell the two apart. */
export type OnnxAttribute = number | readonly number[] | string | { readonly float: number };

/** What an op is in ONNX: one node, with the constants that it takes as further inputs. */
export interface OnnxForm {
  readonly type: string;
  readonly domain?: 'com.microsoft';
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
  readonly constants?: readonly Tensor[];
  /** Which inputs the node takes, by index, where that is not each of them once, in order. */
  readonly operands?: readonly number[];
}

/**
 * Jᵀ·g: pulls gradients of the outputs back to the inputs, one result for each input. The result is undefined for an
 * input that has no gradient.
 */
export type Vjp<A> = (grads: readonly Value[], node: Node<A>) => readonly (Value | undefined)[];

/**
 * J·t: pushes tangents of the inputs forward to the outputs, one result for each output. A tangent is undefined where
 * the input does not move; at least one is defined.
 */
export type Jvp<A> = (tangents: readonly (Value | undefined)[], node: Node<A>) => readonly Value[];

/** Inputs on which the generic tests try an op: a tensor, or a shape to be filled with random numbers. */
export interface Example<A> {
  readonly inputs: readonly (Shape | Tensor)[];
  readonly attrs: A;
}

/** What an op means. */
export interface OpRules<A> {
  /** Types of the outputs. Throws an Error that says which constraint fails. */
  infer(inputs: readonly TensorType[], attrs: A): TensorType[];
  /** The rule of the gradient, or 'none' for an op that cannot be differentiated. */
  readonly vjp: Vjp<A> | 'none';
  /** The rule of the directional derivative; 'none' where `vjp` is. */
  readonly jvp: Jvp<A> | 'none';
  onnx(attrs: A, inputs: readonly TensorType[], outputs: readonly TensorType[]): OnnxForm;
  /** Applications on which shape inference, emission and both derivatives are tested; at least one. */
  readonly examples: readonly [Example<A>, ...Example<A>[]];
}

/** Everything there is to know of an op, in one place. */
export interface OpDef<A> extends OpRules<A> {
  readonly name: string;
}

/** Definitions by name; the compiler demands an entry for each name in the family's attribute types. */
export type Family<Attrs> = { readonly [K in keyof Attrs]: OpDef<Attrs[K]> };

/** Gives each op of a family its name. */
export function family<Attrs>(rules: { readonly [K in keyof Attrs]: OpRules<Attrs[K]> }): Family<Attrs> {
  const named = Object.entries(rules as Record<string, object>).map(([name, rule]) => [name, { ...rule, name }]);
  return Object.fromEntries(named) as Family<Attrs>;
}

/** Attributes of an op that has none. */
export type None = Record<never, never>;

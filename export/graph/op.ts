import type { Value } from './graph.js';
import type { TensorType } from './shape.js';
import type { Tensor } from './tensor.js';

/** An ONNX attribute: integers are plain numbers, floats are marked, since JavaScript does not tell them apart. */
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

/** One application of an op, as its gradient rule sees it. */
export interface Application<A> {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attrs: A;
}

/** Pulls gradients of the outputs back to the inputs; undefined where an input has none. */
export type Vjp<A> = (grads: readonly Value[], application: Application<A>) => readonly (Value | undefined)[];

/** Inputs on which the generic checks try an op: a tensor, or a shape to be filled with random numbers. */
export interface Example<A> {
  readonly inputs: readonly (readonly number[] | Tensor)[];
  readonly attrs: A;
}

/** Everything there is to know of an op, in one place. */
export interface OpDef<A> {
  /** Types of the outputs; throws an Error that says which constraint fails. */
  infer(inputs: readonly TensorType[], attrs: A): TensorType[];
  /** The gradient rule, or 'none' for an op that has no gradient. */
  readonly vjp: Vjp<A> | 'none';
  onnx(attrs: A, inputs: readonly TensorType[], outputs: readonly TensorType[]): OnnxForm;
  /** Applications on which shape inference, emission and the gradient are checked; at least one. */
  readonly examples: readonly [Example<A>, ...Example<A>[]];
}

/** A family of ops: the compiler demands an entry for each name in the family's attribute types. */
export type Family<Attrs> = { readonly [K in keyof Attrs]: OpDef<Attrs[K]> };

/** Attributes of an op that has none. */
export type None = Record<never, never>;

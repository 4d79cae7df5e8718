import { input, type Parameter, type Value } from '../graph/graph.js';
import { reshape, split, transpose } from '../graph/ops/movement.js';
import { staticShape } from '../graph/shape.js';
import { inversePermutation, type NamedTensors, sizeOf, type Tensor, tensor, transposed } from '../graph/tensor.js';

/** The parameters in a flat tensor, in order, each with the permutation of its axes. */
export type Packing = readonly { readonly parameter: Parameter; readonly perm: readonly number[] }[];

const dimsOf = (p: Parameter): number[] => staticShape(p.type.shape);

/** Parameters as pieces of one flat graph input. Each is stored in the layout in which the graph uses it first. */
export class StoredParameters {
  readonly flat: Value;
  readonly pieces: readonly Value[];
  readonly size: number;
  private readonly perms = new Map<Parameter, readonly number[]>();

  constructor(
    name: string,
    private readonly parameters: readonly Parameter[],
  ) {
    const sizes = parameters.map((p) => sizeOf(dimsOf(p)));
    this.size = sizes.reduce((a, b) => a + b, 0);
    this.flat = input(name, 'float32', [this.size]);
    this.pieces = split(this.flat, 0, sizes);
  }

  /** The parameter with its axes permuted. The first permutation of a parameter costs nothing in the graph: it is stored so. */
  as = (value: Value, perm: readonly number[]): Value => {
    const at = this.parameters.indexOf(value as Parameter);
    if (at < 0) return transpose(value, perm);
    const parameter = this.parameters[at]!;
    const kept = this.perms.get(parameter) ?? perm;
    this.perms.set(parameter, kept);
    const dims = dimsOf(parameter);
    const stored = reshape(
      this.pieces[at]!,
      kept.map((axis) => dims[axis]!),
    );
    const back = inversePermutation(kept);
    const change = perm.map((axis) => back[axis]!);
    return change.every((axis, i) => axis === i) ? stored : transpose(stored, change);
  };

  packing = (): Packing =>
    this.parameters.map((parameter) => ({
      parameter,
      perm: this.perms.get(parameter) ?? dimsOf(parameter).map((_, axis) => axis),
    }));
}

/**
 * Lays named tensors into one flat array.
 * @throws TypeError when one is not float32: training moves no others
 */
export function packed(packing: Packing, tensors: NamedTensors): Float32Array {
  const parts = packing.map(({ parameter: { source }, perm }) => {
    const stored = tensors.get(source.name)!;
    if (stored.type !== 'float32')
      throw new TypeError(`${source.name} is ${stored.type}, but training moves float32 alone`);
    return transposed(stored as Tensor<'float32'>, perm).data;
  });
  const flat = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    flat.set(part, at);
    at += part.length;
  }
  return flat;
}

/** Splits a flat array into named tensors: the inverse of `packed`. */
export function unpacked(packing: Packing, flat: Float32Array): Map<string, Tensor<'float32'>> {
  let at = 0;
  return new Map(
    packing.map(({ parameter, perm }) => {
      const dims = dimsOf(parameter);
      const size = sizeOf(dims);
      const stored = tensor(
        'float32',
        perm.map((a) => dims[a]!),
        flat.subarray(at, at + size),
      );
      at += size;
      return [parameter.source.name, transposed(stored, inversePermutation(perm))];
    }),
  );
}

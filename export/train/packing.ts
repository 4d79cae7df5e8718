import { input, type Parameter, type Value } from '../graph/graph.js';
import { pad, reshape, slice, split, transpose } from '../graph/ops/movement.js';
import { staticShape } from '../graph/shape.js';
import {
  inversePermutation,
  type NamedTensors,
  sizeOf,
  type Tensor,
  tensor,
  transposed,
  zeros,
} from '../graph/tensor.js';

/** The parameters in packed rows, in order, each with the permutation of its axes. */
export type Packing = readonly { readonly parameter: Parameter; readonly perm: readonly number[] }[];

const dimsOf = (p: Parameter): number[] => staticShape(p.type.shape);

/**
 * Numbers in a row of packed parameters. A parameter has whole rows, the last filled up with zeros: of rows, ONNX Runtime's
 * CUDA provider splits and concatenates many tensors fast, since it looks up each row instead of each number.
 */
const ROW = 256;
const rowsOf = (numbers: number): number => Math.ceil(numbers / ROW);

/** Parameters as pieces of one graph input, [rows, ROW]. Each is stored in the layout in which the graph uses it first. */
export class StoredParameters {
  readonly packed: Value;
  /** One for each parameter, [rows, ROW]. */
  readonly pieces: readonly Value[];
  private readonly perms = new Map<Parameter, readonly number[]>();

  constructor(
    name: string,
    private readonly parameters: readonly Parameter[],
  ) {
    const rows = parameters.map((p) => rowsOf(sizeOf(dimsOf(p))));
    this.packed = input(name, 'float32', packedShape(parameters));
    this.pieces = split(this.packed, 0, rows);
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
      numbersIn(this.pieces[at]!, sizeOf(dims)),
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

/** A tensor laid into whole rows, [rows, ROW]. */
export function inRows(v: Value): Value {
  const size = sizeOf(staticShape(v.type.shape));
  const missing = rowsOf(size) * ROW - size;
  const numbers = reshape(v, [size]);
  return reshape(missing === 0 ? numbers : pad(numbers, [0], [missing]), [rowsOf(size), ROW]);
}

/** The shape of packed parameters. */
export const packedShape = (parameters: readonly Parameter[]): readonly [number, number] => [
  parameters.reduce((sum, p) => sum + rowsOf(sizeOf(dimsOf(p))), 0),
  ROW,
];

/** The first numbers in rows. */
function numbersIn(rows: Value, count: number): Value {
  const all = sizeOf(staticShape(rows.type.shape));
  return all === count ? rows : slice(reshape(rows, [all]), 0, 0, count);
}

/**
 * Lays named tensors into rows.
 * @throws TypeError when one is not float32: training moves no others
 */
export function packed(packing: Packing, tensors: NamedTensors): Tensor<'float32'> {
  const parts = packing.map(({ parameter: { source }, perm }) => {
    const stored = tensors.get(source.name)!;
    if (stored.type !== 'float32')
      throw new TypeError(`${source.name} is ${stored.type}, but training moves float32 alone`);
    return transposed(stored as Tensor<'float32'>, perm).data;
  });
  const rows = zeros([parts.reduce((sum, { length }) => sum + rowsOf(length), 0), ROW]);
  let at = 0;
  for (const part of parts) {
    rows.data.set(part, at);
    at += rowsOf(part.length) * ROW;
  }
  return rows;
}

/** Takes named tensors out of rows: the inverse of `packed`. */
export function unpacked(packing: Packing, { data }: Tensor<'float32'>): Map<string, Tensor<'float32'>> {
  let at = 0;
  return new Map(
    packing.map(({ parameter, perm }) => {
      const dims = dimsOf(parameter);
      const size = sizeOf(dims);
      const stored = tensor(
        'float32',
        perm.map((a) => dims[a]!),
        data.subarray(at, at + size),
      );
      at += rowsOf(size) * ROW;
      return [parameter.source.name, transposed(stored, inversePermutation(perm))];
    }),
  );
}

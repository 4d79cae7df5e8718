import { CheckpointFileError, COPY_AGAIN } from '../formats/pickle/errors.js';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.js';
import { elementTypes } from './elements.js';

/** A tensor in a file. `read` reads it. */
export interface StoredTensor {
  readonly dims: readonly number[];
  /** As stored, in PyTorch's words: "float32", "float16", "bfloat16", "int64", … */
  readonly dtype: string;
  /**
   * The values as float32, dense and row-major.
   * @throws CheckpointFileError for a dtype that is no float, and for damaged bytes
   */
  read(): Promise<Tensor<'float32'>>;
}

/** Where the elements of a tensor lie in a flat array of elements; offset and strides count elements. */
export interface Strided {
  /** Named in errors, with what the tensor belongs to. */
  readonly path: string;
  readonly what: string;
  readonly dtype: string;
  readonly dims: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
  /** Number of elements of the flat array. */
  readonly available: number;
  /** Reads bytes, from the start of the elements. */
  bytes(offset: number, length: number): Promise<Uint8Array>;
}

/** Limit for tensors with strides of 0, whose elements share places: such a tensor can be larger than the file. */
const MOST_SHARED = 2 ** 26;
const MOST_DIMS = 64;

/**
 * A tensor over strided elements.
 * @throws CheckpointFileError when an element lies outside the flat array
 */
export function storedTensor(layout: Strided): StoredTensor {
  const { path, what, dtype, dims } = layout;
  const problem = problemOf(layout);
  if (problem) throw new CheckpointFileError(path, `${what}: ${problem}. ${COPY_AGAIN}`);
  return { dims, dtype, read: async () => tensor('float32', dims, await readStrided(layout)) };
}

function problemOf({ dims, strides, offset, available }: Strided): string | undefined {
  const valid = [...dims, ...strides, offset, sizeOf(dims)].every((n) => Number.isSafeInteger(n) && n >= 0);
  if (!valid || dims.length !== strides.length || dims.length > MOST_DIMS) {
    return `a tensor of dims [${dims}], strides [${strides}] and offset ${offset} cannot be`;
  }
  if (sizeOf(dims) === 0) return undefined;
  // A sum that is too large to be exact is still larger than `available`.
  const end = offset + span(dims, strides);
  if (end > available) return `a tensor of dims [${dims}] ends at element ${end} of ${available}`;
  const most = Math.max(available, MOST_SHARED);
  return sizeOf(dims) > most
    ? `a tensor of dims [${dims}] is larger than the ${most} elements that are read`
    : undefined;
}

/** Elements from the first to the last, both included. */
const span = (dims: readonly number[], strides: readonly number[]): number =>
  dims.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 1);

async function readStrided({ path, what, dtype, dims, strides, offset, bytes }: Strided): Promise<Float32Array> {
  const { width, toFloat32 } = elementTypes[dtype]!;
  if (!toFloat32) {
    throw new CheckpointFileError(path, `${what} is ${dtype}; weights are float64, float32, float16 or bfloat16`);
  }
  if (sizeOf(dims) === 0) return new Float32Array(0);
  const run = toFloat32(await bytes(offset * width, span(dims, strides) * width));
  return isDense(dims, strides) ? run : gather(run, dims, strides);
}

/** Whether elements follow each other in row-major order; the stride of an axis of size 1 does not matter. */
const isDense = (dims: readonly number[], strides: readonly number[]): boolean =>
  dims.every((size, axis) => size === 1 || strides[axis] === sizeOf(dims.slice(axis + 1)));

function gather(run: Float32Array, dims: readonly number[], strides: readonly number[]): Float32Array {
  const out = new Float32Array(sizeOf(dims));
  const index = new Array<number>(dims.length).fill(0);
  let at = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = run[at]!;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++index[axis]! < dims[axis]!) break;
      at -= dims[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

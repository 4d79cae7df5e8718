/** Element types that graphs carry, named as ONNX Runtime's JavaScript API names them. */
export interface Arrays {
  float32: Float32Array;
  float64: Float64Array;
  int8: Int8Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}
export type DType = keyof Arrays;
export type TypedArray = Arrays[DType];

/** The array that holds each element type, and ONNX's number for the type (TensorProto.DataType). */
const elements = {
  float32: { array: Float32Array, onnx: 1 },
  float64: { array: Float64Array, onnx: 11 },
  int8: { array: Int8Array, onnx: 3 },
  int32: { array: Int32Array, onnx: 6 },
  int64: { array: BigInt64Array, onnx: 7 },
  uint8: { array: Uint8Array, onnx: 2 },
  bool: { array: Uint8Array, onnx: 9 },
} as const;

/** ONNX's number for an element type. */
export const onnxType = (type: DType): number => elements[type].onnx;

/** Bytes of one element. */
export const bytesPerElement = (type: DType): number => elements[type].array.BYTES_PER_ELEMENT;

/** A dense, row-major tensor with data. */
export interface Tensor<D extends DType = DType> {
  readonly type: D;
  readonly dims: readonly number[];
  readonly data: Arrays[D];
}

/** Tensors by parameter name. */
export type NamedTensors<D extends DType = DType> = ReadonlyMap<string, Tensor<D>>;

/** Number of elements of a shape; 1 for a scalar's []. */
export const sizeOf = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/** Makes a tensor; throws RangeError when the data's length is not the shape's size. */
export function tensor<D extends DType>(
  type: D,
  dims: readonly number[],
  data: Iterable<number> | TypedArray,
): Tensor<D> {
  const array: TypedArray = data instanceof elements[type].array ? (data as TypedArray) : convert(type, data);
  if (array.length !== sizeOf(dims)) {
    throw new RangeError(`a ${type} tensor of shape [${dims}] holds ${sizeOf(dims)} elements, got ${array.length}`);
  }
  return { type, dims: [...dims], data: array as Arrays[D] };
}

function convert(type: DType, data: Iterable<number> | TypedArray): TypedArray {
  if (type === 'int64') return BigInt64Array.from(data as Iterable<number>, (v) => BigInt(v));
  return elements[type].array.from(data as Iterable<number>);
}

export const zeros = (dims: readonly number[]): Tensor<'float32'> =>
  tensor('float32', dims, new Float32Array(sizeOf(dims)));

/** A tensor whose elements are the given bytes, little-endian, without a copy; they must start at a multiple of the element's size. */
export function fromBytes<D extends DType>(type: D, dims: readonly number[], bytes: Uint8Array): Tensor<D> {
  const array = elements[type].array as new (buffer: ArrayBufferLike, offset: number, length: number) => TypedArray;
  return tensor(type, dims, new array(bytes.buffer, bytes.byteOffset, bytes.length / bytesPerElement(type)));
}

/** The raw little-endian bytes of a tensor, without a copy. */
export const bytesOf = ({ data }: Tensor): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Permutes axes: `transposed(x, [1, 0])` of a matrix is its transpose. A copy. */
export function transposed(x: Tensor<'float32'>, perm: readonly number[]): Tensor<'float32'> {
  const dims = perm.map((axis) => x.dims[axis]!);
  const strides = x.dims.map((_, axis) => sizeOf(x.dims.slice(axis + 1)));
  const out = new Float32Array(x.data.length);
  const index = new Array<number>(dims.length).fill(0);
  for (let i = 0; i < out.length; i++) {
    let at = 0;
    for (let a = 0; a < dims.length; a++) at += index[a]! * strides[perm[a]!]!;
    out[i] = x.data[at]!;
    for (let a = dims.length - 1; a >= 0; a--) {
      if (++index[a]! < dims[a]!) break;
      index[a] = 0;
    }
  }
  return { type: 'float32', dims, data: out };
}

/** The permutation that undoes `perm`. */
export const inversePermutation = (perm: readonly number[]): number[] => perm.map((_, axis) => perm.indexOf(axis));

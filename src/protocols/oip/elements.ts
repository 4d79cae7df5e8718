import { sizeOf, type Tensor } from '../../../export/graph/tensor.js';
import { described, malformed } from './expect.js';

/** Element types of inputs and outputs: the protocol's name for each, and what JSON may hold. */
export const elements = {
  uint8: {
    datatype: 'UINT8',
    array: Uint8Array,
    words: 'a whole number from 0 to 255',
    is: (v: unknown) => Number.isInteger(v) && Number(v) >= 0 && Number(v) <= 255,
  },
  float32: { datatype: 'FP32', array: Float32Array, words: 'a number', is: (v: unknown) => typeof v === 'number' },
} as const;
export type ElementType = keyof typeof elements;

export const bytesOfShape = (type: ElementType, dims: readonly number[]): number =>
  sizeOf(dims) * elements[type].array.BYTES_PER_ELEMENT;

/** Reads little-endian bytes as a tensor: a view of them, or of a copy where they are not aligned. */
export function fromBytes(type: ElementType, dims: readonly number[], bytes: Uint8Array): Tensor<ElementType> {
  const { array } = elements[type];
  // Never the Buffer itself: its `slice` would share memory.
  const aligned = bytes.byteOffset % array.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return { type, dims, data: new array(aligned.buffer as ArrayBuffer, aligned.byteOffset, sizeOf(dims)) };
}

/**
 * Reads numbers from JSON as a tensor: one flat array, or nested arrays of its shape.
 * @throws Problem inference-malformed
 */
export function fromJson(type: ElementType, dims: readonly number[], data: readonly unknown[]): Tensor<ElementType> {
  const { array, is, words } = elements[type];
  const numbers = new array(sizeOf(dims));
  let at = 0;
  const read = (value: unknown, [size, ...inner]: readonly number[], where: string): void => {
    if (!Array.isArray(value) || value.length !== size) {
      const found = Array.isArray(value) ? `an array of ${value.length}` : described(value);
      throw malformed(`${where} is ${found}; expected an array of ${size}, for the shape [${dims.join(', ')}]`);
    }
    for (let i = 0; i < size; i++) {
      if (inner.length > 0) read(value[i], inner, `${where}[${i}]`);
      else if (!is(value[i])) throw malformed(`${where}[${i}] is ${described(value[i])}; expected ${words}`);
      else numbers[at++] = value[i];
    }
  };
  // The recursion ends with the shape, however deep the client's arrays are.
  read(data, Array.isArray(data[0]) ? dims : [sizeOf(dims)], 'data');
  return { type, dims, data: numbers };
}

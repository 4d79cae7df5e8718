import { checkNumbers } from '../../../export/formats/json.js';
import { checkFinite } from '../../../export/formats/read.js';
import { sizeOf, type Tensor } from '../../../export/graph/tensor.js';
import type { TensorInfo } from '../../../export/model/signature.js';
import { Problem } from '../../common/problems.js';
import { bytesOfShape, type ElementType, elements, fromBytes, fromJson } from './elements.js';
import { described, expect, expectOptional, malformed } from './expect.js';
import { parametersOf } from './parameters.js';

type Json = Readonly<Record<string, unknown>>;

export interface Input {
  readonly images: number;
  /** @throws Problem inference-malformed; FormatError nan, infinite */
  read(): Tensor<ElementType>;
}

/**
 * Checks the one input that a model takes, except its numbers.
 * @param tail the bytes after the JSON
 * @throws Problem inference-malformed, too-many-images; FormatError too-large
 */
export function inputOf(inputs: unknown, expected: TensorInfo, tail: Uint8Array, maxImages: number): Input {
  const input = onlyInput(inputs, expected.name);
  const dims = dimsOf(input, expected);
  const [images] = dims as [number];
  if (images === 0) throw malformed(`the input ${expected.name} has no images; expected at least 1`);
  if (images > maxImages) {
    throw new Problem('too-many-images', `${images} images were sent; at most ${maxImages} are taken at once`);
  }
  const read = readerOf(input, expected, dims, tail);
  return {
    images,
    read() {
      const tensor = read();
      if (tensor.type === 'float32') checkFinite((tensor as Tensor<'float32'>).data);
      return tensor;
    },
  };
}

function onlyInput(value: unknown, expected: string): Json {
  const inputs = expect(value, 'array', 'inputs');
  for (const [i, input] of inputs.entries()) {
    const { name } = expect(input, 'object', `inputs[${i}]`);
    if (name !== expected) throw malformed(`the name of inputs[${i}] is ${described(name)}; expected ${expected}`);
    if (i > 0) throw malformed(`the input ${expected} is there twice`);
  }
  if (inputs.length === 0) throw malformed(`the input ${expected} is missing`);
  return inputs[0] as Json;
}

function dimsOf({ shape, datatype }: Json, { name, type, row }: TensorInfo): number[] {
  if (datatype !== elements[type].datatype) {
    const expected = elements[type].datatype;
    throw malformed(`the datatype of the input ${name} is ${described(datatype)}; expected ${expected}`);
  }
  const axes = expect(shape, 'array', `the shape of the input ${name}`);
  const expected = `expected [N, ${row.join(', ')}]`;
  if (axes.length !== row.length + 1) throw malformed(`the shape of ${name} has ${axes.length} axes; ${expected}`);
  const dims = axes.map((size, i) => expect(size, 'size', `axis ${i} of the shape of ${name}`));
  if (row.every((size, i) => size === dims[i + 1])) return dims;
  throw malformed(`the shape of ${name} is [${dims.join(', ')}]; ${expected}`);
}

/** Checks where the numbers of an input are and how many. @returns a function that reads them */
function readerOf(
  { parameters, data }: Json,
  { name, type }: TensorInfo,
  dims: readonly number[],
  tail: Uint8Array,
): () => Tensor<ElementType> {
  const { binary_data_size } = parametersOf(parameters, `the input ${name}`);
  const size = expectOptional(binary_data_size, 'size', `binary_data_size of the input ${name}`);
  const shape = `the shape [${dims.join(', ')}]`;
  if (size !== undefined && (data ?? null) !== null) throw malformed(`the input ${name} has data and binary_data_size`);
  if (size !== undefined && size !== bytesOfShape(type, dims)) {
    throw malformed(`binary_data_size of the input ${name} is ${size}; ${shape} takes ${bytesOfShape(type, dims)}`);
  }
  if (tail.length !== (size ?? 0)) {
    throw malformed(`${tail.length} bytes follow the JSON; expected ${size ?? 0}, as binary_data_size says`);
  }
  if (size !== undefined) return () => fromBytes(type, dims, tail);
  const numbers = expect(data, 'array', `data of the input ${name}`);
  checkNumbers(sizeOf(dims));
  return () => fromJson(type, dims, numbers);
}

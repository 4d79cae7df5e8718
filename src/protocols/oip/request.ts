import { FormatError } from '../../../export/formats/errors.js';
import { parseJson } from '../../../export/formats/json.js';
import type { Tensor } from '../../../export/graph/tensor.js';
import { bytesOfShape, type ElementType, elements } from './elements.js';
import { expect, expectOptional, malformed, quoted } from './expect.js';
import { inputOf } from './input.js';
import type { Served } from './models.js';
import { parametersOf } from './parameters.js';
import { type Wanted, wantedOf } from './wanted.js';

/** The header with the length of the JSON at the start of a body; the raw bytes of tensors follow. */
export const JSON_LENGTH = 'inference-header-content-length';

/** A request that is checked, except the numbers of its input. */
export interface InferRequest {
  readonly id: string | undefined;
  readonly images: number;
  readonly wanted: readonly Wanted[];
  /** Reads the input. @throws Problem inference-malformed; FormatError nan, infinite */
  readInput(): Tensor<ElementType>;
}

/**
 * Reads an inference request: JSON; or JSON and raw bytes, with the length of the JSON in the header JSON_LENGTH; or, with 0
 * in that header, the raw bytes of the input alone.
 * https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
 * https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_binary_data.html
 * @throws Problem inference-malformed, too-many-images; FormatError too-large
 */
export function readInferRequest(
  body: Uint8Array,
  jsonLength: string | undefined,
  served: Served,
  maxImages: number,
): InferRequest {
  const length = lengthOf(jsonLength, body);
  const json = length === 0 ? rawRequest(served, body.length) : parse(body.subarray(0, length));
  const { id, inputs, outputs, parameters } = expect(json, 'object', 'the body');
  const { binary_data_output: binary } = parametersOf(parameters, 'the request');
  const { images, read } = inputOf(inputs, served.input, body.subarray(length), maxImages);
  const wanted = wantedOf(outputs, served, expectOptional(binary, 'boolean', 'binary_data_output') ?? false, images);
  return { id: expectOptional(id, 'string', 'id'), images, wanted, readInput: read };
}

/** The JSON that a request of raw bytes alone stands for. */
const rawRequest = ({ input: { name, type, row } }: Served, bytes: number) => ({
  parameters: { binary_data_output: true },
  inputs: [
    {
      name,
      datatype: elements[type].datatype,
      shape: [Math.ceil(bytes / bytesOfShape(type, row)), ...row],
      parameters: { binary_data_size: bytes },
    },
  ],
});

function lengthOf(text: string | undefined, body: Uint8Array): number {
  if (text === undefined) return body.length;
  const length = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (length <= body.length) return length;
  const expected = `expected how many of the body's ${body.length} bytes are JSON`;
  throw malformed(`the header Inference-Header-Content-Length is ${quoted(text)}; ${expected}`);
}

function parse(json: Uint8Array): unknown {
  try {
    return parseJson(json);
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw malformed(`the body cannot be read as JSON: ${(error as Error).message}`, { cause: error });
  }
}

import type { Chunks } from '../../../export/files/write.js';
import { jsonBytes, toJson } from '../../../export/formats/json.js';
import { bytesOf } from '../../../export/graph/tensor.js';
import type { TensorName, Tensors } from '../../../export/model/signature.js';
import { elements } from './elements.js';
import { malformed } from './expect.js';
import { type Served, VERSION } from './models.js';
import type { InferRequest } from './request.js';
import type { InferResponse } from './schemas.js';
import type { Wanted } from './wanted.js';

/** A response: its JSON, and the bytes of the tensors that follow, without a copy. */
export interface Answer {
  readonly head: Buffer;
  readonly tail: Chunks;
}

/** @throws Problem inference-malformed, when JSON cannot hold a number that was computed */
export function writeInferResponse(
  { name }: Served,
  { id, wanted }: Pick<InferRequest, 'id' | 'wanted'>,
  results: Partial<Tensors>,
): Answer {
  const outputs = wanted.map((output) => ({ result: results[output.tensor.name]!, ...output }));
  const head: InferResponse = {
    model_name: name,
    model_version: VERSION,
    ...(id !== undefined && { id }),
    outputs: outputs.map(({ result, ...output }) => describe(output, result)),
  };
  return {
    head: jsonBytes(head),
    tail: outputs.filter(({ binary }) => binary).map(({ result }) => bytesOf(result)),
  };
}

function describe({ tensor: { name }, binary }: Wanted, result: Tensors[TensorName]): InferResponse['outputs'][number] {
  const { type, dims, data } = result;
  const { datatype } = elements[type];
  if (binary) return { name, datatype, shape: [...dims], parameters: { binary_data_size: data.byteLength } };
  // Φ⁻¹ may overflow to NaN for features far from those of any image.
  const wrong = data.findIndex((v) => !Number.isFinite(v));
  if (wrong < 0) return { name, datatype, ...toJson(result) };
  throw malformed(`number ${wrong} of ${name} is ${data[wrong]}, which JSON does not have; ask for binary data`);
}

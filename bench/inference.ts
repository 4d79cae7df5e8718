import { sizeOf } from '../export/tensor.js';
import type { Request } from './load.js';

/** What the Open Inference Protocol says of a tensor. */
interface Described {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/** Bytes of an element. */
const widths: Readonly<Record<string, number>> = { UINT8: 1, INT8: 1, INT32: 4, INT64: 8, FP32: 4 };

/** Requests to infer by the Open Inference Protocol, as JSON and with binary data; the image is grey. */
export interface InferenceRequests {
  readonly json: Request;
  readonly binary: Request;
}

/** Built from what the service says of the model, in batches of one. @throws Error when it does not say it */
export async function inferenceRequests(base: string, model: string): Promise<InferenceRequests> {
  const reply = await fetch(`${base}/v2/models/${model}`);
  if (!reply.ok) throw new Error(`GET /v2/models/${model} answers ${reply.status}`);
  const { inputs } = (await reply.json()) as { inputs: readonly [Described] };
  const { name, datatype, shape } = inputs[0];
  const dims = shape.map((size) => (size < 0 ? 1 : size));
  const size = sizeOf(dims);
  const path = `/v2/models/${model}/infer`;
  const input = { name, datatype, shape: dims };
  const asked = { id: 'a', inputs: [{ ...input, data: Array.from({ length: size }, (_, i) => i % 256) }] };
  const bytes = size * widths[datatype]!;
  const head = Buffer.from(
    JSON.stringify({
      inputs: [{ ...input, parameters: { binary_data_size: bytes } }],
      parameters: { binary_data_output: true },
    }),
  );
  return {
    json: { path, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(asked)) },
    binary: {
      path,
      headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': `${head.length}` },
      body: Buffer.concat([head, Buffer.alloc(bytes, 7)]),
    },
  };
}

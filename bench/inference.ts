import { sizeOf } from '../export/graph/tensor.js';
import type { Request } from './load.js';

/** What the Open Inference Protocol says of a tensor. */
interface Described {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

interface Metadata {
  readonly inputs: readonly [Described];
  readonly outputs: readonly Described[];
}

/** Requests to infer by the Open Inference Protocol. */
export interface InferenceRequests {
  /** With numbers in JSON. */
  readonly json: readonly Request[];
  /** With the bytes of tensors behind the JSON, in both directions. */
  readonly binary: readonly Request[];
}

/** For Φ and Φ⁻¹ of a model, with one image, from what the service says of them. */
export async function inferenceRequests(base: string, model: string): Promise<InferenceRequests> {
  const served = await Promise.all([model, `${model}-inverse`].map((name) => describedBy(base, name)));
  return { json: served.map(jsonRequest), binary: served.map(binaryRequest) };
}

async function describedBy(base: string, name: string): Promise<Metadata & { readonly path: string }> {
  const reply = await fetch(`${base}/v2/models/${name}`);
  if (!reply.ok) throw new Error(`GET /v2/models/${name} answers ${reply.status}`);
  return { ...((await reply.json()) as Metadata), path: `/v2/models/${name}/infer` };
}

const inputOf = ({ inputs: [{ name, datatype, shape }] }: Metadata) => ({
  name,
  datatype,
  shape: shape.map((size) => Math.max(1, size)),
});

function jsonRequest({ path, ...metadata }: Awaited<ReturnType<typeof describedBy>>): Request {
  const input = inputOf(metadata);
  const data = Array.from({ length: sizeOf(input.shape) }, (_, i) => (i % 8) / (input.datatype === 'FP32' ? 4 : 1));
  const outputs = metadata.outputs.map(({ name }) => ({ name, parameters: { binary_data: false } }));
  const body = Buffer.from(JSON.stringify({ id: 'a', inputs: [{ ...input, data }], outputs }));
  return { path, headers: { 'content-type': 'application/json' }, body };
}

function binaryRequest({ path, ...metadata }: Awaited<ReturnType<typeof describedBy>>): Request {
  const input = inputOf(metadata);
  const data = Buffer.alloc(sizeOf(input.shape) * (input.datatype === 'FP32' ? 4 : 1), 7);
  const parameters = { binary_data_size: data.length };
  const asked = { inputs: [{ ...input, parameters }], parameters: { binary_data_output: true } };
  const head = Buffer.from(JSON.stringify(asked));
  const headers = {
    'content-type': 'application/octet-stream',
    'inference-header-content-length': `${head.length}`,
  };
  return { path, headers, body: Buffer.concat([head, data]) };
}

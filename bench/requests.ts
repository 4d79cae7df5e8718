import { sizeOf } from '../export/graph/tensor.js';

/** A request with a body of known length. */
export interface Request {
  readonly method?: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export const post = (path: string, type: string, body: Uint8Array): Request => ({
  path,
  headers: { 'content-type': type },
  body,
});

/** A multipart form with these files. */
export async function postForm(
  path: string,
  files: readonly (readonly [field: string, data: Uint8Array])[],
): Promise<Request> {
  const form = new FormData();
  for (const [field, data] of files) form.append(field, new Blob([data as Uint8Array<ArrayBuffer>]), 'image');
  const encoded = new Response(form);
  return post(path, encoded.headers.get('content-type')!, new Uint8Array(await encoded.arrayBuffer()));
}

interface Described {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/**
 * Requests of the Open Inference Protocol with one image, made from the tensors that the service describes: for Φ and for Φ⁻¹
 * of a model, one with numbers in JSON and one with binary tensor data each.
 */
export async function inferenceRequests(base: string, model: string): Promise<Request[]> {
  const requests: Request[] = [];
  for (const path of [`/v2/models/${model}`, `/v2/models/${model}-inverse`]) {
    const described = (await (await fetch(base + path)).json()) as { inputs: [Described]; outputs: Described[] };
    const [{ name, datatype, shape }] = described.inputs;
    const input = { name, datatype, shape: shape.map((size) => Math.max(1, size)) };
    const floats = datatype === 'FP32';
    const data = Array.from({ length: sizeOf(input.shape) }, (_, i) => (i % 8) / (floats ? 4 : 1));
    const outputs = described.outputs.map((output) => ({ name: output.name, parameters: { binary_data: false } }));
    const json = Buffer.from(JSON.stringify({ id: 'a', inputs: [{ ...input, data }], outputs }));
    requests.push(post(`${path}/infer`, 'application/json', json));

    const bytes = Buffer.from(floats ? Float32Array.from(data).buffer : Uint8Array.from(data).buffer);
    const parameters = { binary_data_size: bytes.length };
    const asked = { inputs: [{ ...input, parameters }], parameters: { binary_data_output: true } };
    const head = Buffer.from(JSON.stringify(asked));
    const binary = post(`${path}/infer`, 'application/octet-stream', Buffer.concat([head, bytes]));
    const headers = { ...binary.headers, 'inference-header-content-length': `${head.length}` };
    requests.push({ ...binary, headers });
  }
  return requests;
}

import type { LightMyRequestResponse } from 'fastify';
import type { App } from '../../src/http/app-type.js';

export type Json = Readonly<Record<string, unknown>>;

/** A body with the header that says where its JSON ends. */
export interface Inference {
  readonly headers: Record<string, string>;
  readonly payload: Buffer;
}

/** What inject and fetch give back, as far as it is needed. */
interface Reply {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly rawPayload: Buffer;
}

interface Head {
  readonly model_name: string;
  readonly id?: string;
  readonly outputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: number[];
    readonly data?: number[];
    readonly parameters?: { readonly binary_data_size: number };
  }[];
}

/** Inputs of the model that ships, without their data. */
export const pixelsInput = (count: number) => ({ name: 'pixels', shape: [count, 28, 28, 1], datatype: 'UINT8' });
export const featuresInput = (count: number) => ({ name: 'features', shape: [count, 256, 2, 2], datatype: 'FP32' });
/** The same input with its data as raw bytes after the JSON. */
export const asBinary = (input: Json, bytes: Uint8Array) => ({
  ...input,
  parameters: { binary_data_size: bytes.length },
});

/** A flat list as lists in lists of a shape. */
export const nested = (data: ArrayLike<number>, [size, ...inner]: readonly number[]): unknown[] => {
  const length = data.length / size!;
  const all = Array.from(data);
  if (inner.length === 0) return all;
  return Array.from({ length: size! }, (_, i) => nested(all.slice(i * length, (i + 1) * length), inner));
};

/** An inference request of JSON and the raw bytes of tensors after it. */
export function withTail(body: Json, ...tail: readonly Uint8Array[]): Inference {
  const json = Buffer.from(JSON.stringify(body));
  return { headers: { 'inference-header-content-length': `${json.length}` }, payload: Buffer.concat([json, ...tail]) };
}

/** Sends an inference request to a model, or to `<model>/versions/<v>`. */
export const infer = (
  app: App,
  model: string,
  request: Inference | { readonly body: Json },
): Promise<LightMyRequestResponse> => {
  const sent = 'body' in request ? { headers: {}, payload: Buffer.from(JSON.stringify(request.body)) } : request;
  return app.inject({ method: 'POST', url: `/v2/models/${model}/infer`, ...sent });
};

/** The JSON of an answer, and the tensors that follow it as raw bytes, each in memory of its own. */
export function readAnswer({ statusCode, headers, rawPayload }: Reply): {
  head: Head;
  tensors: Record<string, Uint8Array>;
} {
  if (statusCode !== 200) throw new Error(rawPayload.toString().slice(0, 500));
  const end = Number(headers['inference-header-content-length'] ?? rawPayload.length);
  const head = JSON.parse(rawPayload.subarray(0, end).toString()) as Head;
  const tensors: Record<string, Uint8Array> = {};
  let at = end;
  for (const { name, parameters } of head.outputs) {
    if (!parameters) continue;
    tensors[name] = Uint8Array.from(rawPayload.subarray(at, at + parameters.binary_data_size));
    at += parameters.binary_data_size;
  }
  if (at !== rawPayload.length) throw new Error(`${rawPayload.length - at} bytes are left over`);
  return { head, tensors };
}

import { Agent, type Dispatcher, request } from 'undici';
import { bytesOf, sizeOf, type Tensor } from '../../../export/graph/tensor.js';
import { bytesOfShape, type ElementType, elements, fromBytes } from '../../protocols/oip/elements.js';
import type { Served } from '../../protocols/oip/models.js';
import { JSON_LENGTH } from '../../protocols/oip/request.js';
import type { InferResponse } from '../../protocols/oip/schemas.js';

/**
 * Why a request to a server failed. `refused`: the server is busy or shuts down, and has not begun; `lost`: it does not
 * answer, or not as the protocol says; `rejected`: the request itself is wrong.
 */
export class ServerError extends Error {
  override readonly name = 'ServerError';
  constructor(
    readonly kind: 'refused' | 'lost' | 'rejected',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A server that speaks the Open Inference Protocol, version 2, over HTTP with binary tensor data. */
export interface Client {
  /** @throws ServerError when the server is not ready */
  ready(): Promise<void>;
  /** The JSON at a path; undefined where the status is 404. @throws ServerError */
  get(path: string): Promise<unknown>;
  /** Runs a model on one input. @throws ServerError */
  infer(served: Served, input: Tensor, outputs: readonly string[], seconds: number): Promise<Record<string, Tensor>>;
  /** Aborts requests that are under way. */
  close(): Promise<void>;
}

/** Seconds to connect, and for an answer that needs no inference. */
const PATIENCE = 10;
/** Bytes of an error's body that are quoted. */
const SHOWN = 200;

/** @param key sent as a bearer token, unless it is empty */
export function createClient(base: string, key: string): Client {
  // Each request's signal limits its time. undici's own limits of five minutes would abort batches that may take longer.
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: PATIENCE * 1000 } });
  const call = async (path: string, seconds: number, options: Omit<Dispatcher.RequestOptions, 'origin' | 'path'>) => {
    try {
      const headers = { ...(key && { authorization: `Bearer ${key}` }), ...(options.headers as object) };
      const signal = AbortSignal.timeout(seconds * 1000);
      const reply = await request(`${base}${path}`, { dispatcher: agent, signal, ...options, headers });
      return { status: reply.statusCode, headers: reply.headers, body: Buffer.from(await reply.body.arrayBuffer()) };
    } catch (error) {
      const { name, message } = error as Error;
      const why = name === 'TimeoutError' ? `no answer within ${seconds} s` : message;
      throw new ServerError('lost', `${base}: ${why}`, { cause: error });
    }
  };
  return {
    async ready() {
      // Only the status counts: Triton answers without a body, others with JSON. A server need not have this path.
      const path = '/v2/health/ready';
      const { status, body } = await call(path, PATIENCE, { method: 'GET' });
      if (status !== 200 && status !== 404) throw failure(`${base}${path}`, status, body);
    },
    async get(path) {
      const { status, body } = await call(path, PATIENCE, { method: 'GET' });
      if (status === 404) return undefined;
      if (status !== 200) throw failure(`${base}${path}`, status, body);
      return parse(`${base}${path}`, body);
    },
    async infer(served, input, outputs, seconds) {
      const path = `/v2/models/${encodeURIComponent(served.name)}/infer`;
      const head = Buffer.from(JSON.stringify(requestOf(served, input, outputs)));
      const headers = { 'content-type': 'application/octet-stream', [JSON_LENGTH]: String(head.length) };
      const body = Buffer.concat([head, bytesOf(input)]);
      const reply = await call(path, seconds, { method: 'POST', headers, body });
      if (reply.status !== 200) throw failure(`${base}${path}`, reply.status, reply.body);
      try {
        return outputsOf(served, outputs, input.dims[0]!, reply.body, reply.headers[JSON_LENGTH]);
      } catch (error) {
        if (error instanceof ServerError) throw error;
        throw new ServerError('lost', `${base}${path}: ${(error as Error).message}`, { cause: error });
      }
    },
    close: () => agent.destroy(),
  };
}

function failure(address: string, status: number, body: Buffer): ServerError {
  const said = body.toString('utf8', 0, SHOWN).trim();
  const kind = status === 429 || status === 503 ? 'refused' : status >= 500 ? 'lost' : 'rejected';
  return new ServerError(kind, `${address} answers ${status}: ${said}`);
}

function parse(address: string, body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new ServerError('lost', `${address} answers what is no JSON`, { cause: error });
  }
}

const requestOf = ({ input: { name, type } }: Served, { dims, data }: Tensor, outputs: readonly string[]) => ({
  inputs: [{ name, datatype: elements[type].datatype, shape: dims, parameters: { binary_data_size: data.byteLength } }],
  outputs: outputs.map((output) => ({ name: output, parameters: { binary_data: true } })),
});

/** Reads the tensors of an answer. @throws Error when the answer is not as the protocol says, or has other tensors */
function outputsOf(
  { outputs: known }: Served,
  wanted: readonly string[],
  images: number,
  body: Buffer,
  jsonLength: string | string[] | undefined,
): Record<string, Tensor> {
  const length = Number(jsonLength);
  if (!(length > 0 && length <= body.length)) throw new Error('the answer has no binary tensor data');
  const head = JSON.parse(body.toString('utf8', 0, length)) as InferResponse;
  const found: Record<string, Tensor> = {};
  let at = length;
  for (const { name, datatype, shape, parameters } of head.outputs) {
    const bytes = Number(parameters?.binary_data_size);
    const info = known.find((tensor) => tensor.name === name);
    const dims = info && [images, ...info.row];
    if (!info || `${shape}` !== `${dims}` || datatype !== elements[info.type].datatype) {
      throw new Error(
        `the output ${name} is ${datatype} [${shape}]; expected ${info ? `[${dims}]` : 'no such output'}`,
      );
    }
    if (bytes !== bytesOfShape(info.type as ElementType, dims!) || at + bytes > body.length) {
      throw new Error(`the output ${name} has ${bytes} bytes; its shape [${shape}] takes ${sizeOf(shape)} numbers`);
    }
    found[name] = fromBytes(info.type as ElementType, dims!, body.subarray(at, at + bytes));
    at += bytes;
  }
  for (const name of wanted) if (!found[name]) throw new Error(`the answer lacks the output ${name}`);
  return found;
}

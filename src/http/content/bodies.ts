import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../../common/problems.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Bytes of memory that its body takes. */
    held: number;
    /** Reserves bytes of memory for the body until the request is over. @throws Problem overloaded */
    hold(bytes: number): void;
  }
}

/**
 * Reads every body but those of forms into memory, whatever its type. Memory is reserved as bytes arrive, not as the client
 * announces them: a body has at most the route's `bodyLimit`, all bodies together at most `maxBuffer`. Bytes that arrive
 * after the reply are read and dropped; where they may be many, the connection closes instead. Compressed bodies are refused.
 * @throws Problem body-encoded, too-many-bytes, overloaded, request-timeout, request-malformed
 */
export function installBodies(app: FastifyInstance, maxBuffer: number): void {
  let held = 0;
  app.decorateRequest('held', 0);
  app.decorateRequest('hold', function (this: FastifyRequest, bytes: number) {
    if (held + bytes > maxBuffer) {
      throw new Problem(
        'overloaded',
        `request bodies take ${held} bytes, and ${bytes} more do not fit into ${maxBuffer}`,
      );
    }
    held += bytes;
    this.held += bytes;
  });
  app.follow({
    over(request) {
      held -= request.held;
    },
  });
  app.addHook('onSend', async (request, reply) => {
    const mayBeLarge = announced(request, Number.POSITIVE_INFINITY) > request.routeOptions.bodyLimit;
    if (request.raw.complete === false && mayBeLarge) reply.header('connection', 'close');
  });
  app.addHook('preParsing', async (request) => {
    if (!request.is404) refuseCompressed(request);
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request: FastifyRequest, payload: Readable) =>
    request.is404 ? Promise.resolve() : readBody(request, payload),
  );
}

/** Refuses a body that has to be unpacked. RFC 9110, section 15.5.16 @throws Problem body-encoded */
function refuseCompressed({ headers }: FastifyRequest): void {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  const encodings = (headers['content-encoding'] ?? '').toLowerCase().split(',');
  const encoded = encodings.find((encoding) => !['', 'identity'].includes(encoding.trim()));
  if (!hasBody || encoded === undefined) return;
  throw new Problem('body-encoded', `the body has the Content-Encoding ${encoded.trim().slice(0, 40)}; expected none`);
}

/** The bytes that the client announces for a body, or `unknown`. */
const announced = ({ headers }: FastifyRequest, unknown: number): number =>
  Number(headers['content-length'] ?? unknown);

async function readBody(request: FastifyRequest, payload: Readable): Promise<Buffer> {
  const body = new GrowingBuffer(request);
  await receiveBody(request, payload, (chunk) => body.add(chunk));
  return body.bytes();
}

/**
 * One buffer for a body, doubled when it is full. A list of chunks would take a hundred times the memory of a body that
 * arrives byte by byte.
 */
class GrowingBuffer {
  readonly #request: FastifyRequest;
  #buffer = Buffer.alloc(0);
  #length = 0;

  constructor(request: FastifyRequest) {
    this.#request = request;
  }

  /** @throws Problem overloaded */
  add(chunk: Buffer): void {
    const wanted = this.#length + chunk.length;
    if (wanted > this.#buffer.length) this.#grow(wanted);
    chunk.copy(this.#buffer, this.#length);
    this.#length = wanted;
  }

  #grow(wanted: number): void {
    const old = this.#buffer;
    const whole = announced(this.#request, this.#request.routeOptions.bodyLimit);
    const size = Math.max(wanted, Math.min(whole, 2 * old.length));
    this.#request.hold(size - old.length);
    this.#buffer = Buffer.allocUnsafeSlow(size);
    old.copy(this.#buffer);
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

/**
 * Passes on a body as it arrives, to its end. After a failure the connection stays open, so that the client gets the reply.
 * @throws Problem too-many-bytes, request-timeout, request-malformed; what `take` throws
 */
export function receiveBody(request: FastifyRequest, payload: Readable, take: (chunk: Buffer) => void): Promise<void> {
  const { bodyLimit } = request.routeOptions;
  const { signal } = request.work;
  const tooMany = new Problem('too-many-bytes', `the body has more than ${bodyLimit} bytes`);
  if (announced(request, 0) > bodyLimit) return Promise.reject(tooMany);
  return new Promise((resolve, reject) => {
    let length = 0;
    const fail = (error: unknown) => {
      payload.off('data', onData);
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      try {
        if (length > bodyLimit) throw tooMany;
        take(chunk);
      } catch (error) {
        fail(error);
      }
    };
    const cancelled = () => {
      const reason: unknown = signal.reason;
      const timedOut = reason instanceof Problem && reason.code === 'answer-timeout';
      fail(timedOut ? new Problem('request-timeout', 'the body did not arrive in time') : reason);
    };
    payload
      .on('data', onData)
      .on('end', resolve)
      .on('error', (cause) => fail(new Problem('request-malformed', 'the body broke off', { cause })));
    signal.addEventListener('abort', cancelled, { once: true });
    if (signal.aborted) cancelled();
  });
}

import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../common/problems.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Bytes of memory that its body takes. */
    held: number;
    /** Counts bytes of memory for its body until the request is over. @throws Problem overloaded */
    hold(bytes: number): void;
  }
}

/**
 * Reads every body into memory, whatever its type. Bytes are counted as they arrive, promised ones not: a body has at most
 * the route's `bodyLimit`, and all bodies that are held, each until its request is over, have at most `maxBuffer`. What
 * still comes of a body after the reply is read and dropped, unless it may be too large: then the connection ends.
 * @throws Problem too-many-bytes, overloaded, request-timeout
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
    const mayBeLarge = promised(request, Number.POSITIVE_INFINITY) > request.routeOptions.bodyLimit;
    if (request.raw.complete === false && mayBeLarge) reply.header('connection', 'close');
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request: FastifyRequest, payload: Readable) =>
    request.is404 ? Promise.resolve() : readBody(request, payload),
  );
}

const EMPTY = Buffer.alloc(0);

/** The bytes that a body will have, or `unknown`. */
const promised = ({ headers }: FastifyRequest, unknown: number): number => Number(headers['content-length'] ?? unknown);

/**
 * Memory for bytes that arrive, in pieces however small: it is doubled as often as they need it, and held. (The pieces
 * themselves would take a hundred times as much, where each is a byte.)
 */
class Growing {
  readonly #request: FastifyRequest;
  #memory = EMPTY;
  #length = 0;

  constructor(request: FastifyRequest) {
    this.#request = request;
  }

  /** @throws Problem too-many-bytes, overloaded */
  add(chunk: Buffer): void {
    const { bodyLimit } = this.#request.routeOptions;
    const wanted = this.#length + chunk.length;
    if (wanted > bodyLimit) throw tooMany(bodyLimit);
    if (wanted > this.#memory.length) this.#grow(wanted, promised(this.#request, bodyLimit));
    chunk.copy(this.#memory, this.#length);
    this.#length = wanted;
  }

  /** @param most bytes beyond which it need not grow */
  #grow(wanted: number, most: number): void {
    const old = this.#memory;
    const larger = Math.max(wanted, Math.min(most, 2 * old.length));
    this.#request.hold(larger - old.length);
    this.#memory = Buffer.allocUnsafeSlow(larger);
    old.copy(this.#memory);
  }

  bytes(): Buffer {
    return this.#memory.subarray(0, this.#length);
  }
}

/**
 * Reads a whole body. A failure leaves the connection open, so that it can be told.
 * @throws Problem too-many-bytes, overloaded, request-timeout, request-malformed
 */
export function readBody(request: FastifyRequest, payload: Readable): Promise<Buffer> {
  const { bodyLimit } = request.routeOptions;
  const { signal } = request.work;
  if (promised(request, 0) > bodyLimit) return Promise.reject(tooMany(bodyLimit));
  return new Promise((resolve, reject) => {
    const body = new Growing(request);
    const fail = (error: unknown) => {
      payload.off('data', onData);
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      try {
        body.add(chunk);
      } catch (error) {
        fail(error);
      }
    };
    const late = () => {
      const reason: unknown = signal.reason;
      const timedOut = reason instanceof Problem && reason.code === 'answer-timeout';
      fail(timedOut ? new Problem('request-timeout', 'the body did not arrive in time') : reason);
    };
    payload
      .on('data', onData)
      .on('end', () => resolve(body.bytes()))
      .on('error', (cause) => fail(new Problem('request-malformed', 'the body broke off', { cause })));
    signal.addEventListener('abort', late, { once: true });
    if (signal.aborted) late();
  });
}

const tooMany = (bodyLimit: number): Problem =>
  new Problem('too-many-bytes', `the body has more than ${bodyLimit} bytes`);

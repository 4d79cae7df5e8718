import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../errors.js';

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
  app.addHook('onRequest', async (request, reply) => {
    reply.raw.once('close', () => {
      held -= request.held;
    });
  });
  app.addHook('onSend', async (request, reply) => {
    const mayBeLarge = promised(request, Number.POSITIVE_INFINITY) > request.routeOptions.bodyLimit;
    if (request.raw.complete === false && mayBeLarge) reply.header('connection', 'close');
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async (request: FastifyRequest, payload: Readable) =>
    request.is404 ? undefined : readBody(request, payload),
  );
}

/** The bytes that a body will have, or `unknown`. */
const promised = ({ headers }: FastifyRequest, unknown: number): number => Number(headers['content-length'] ?? unknown);

/**
 * Reads a whole body.
 * @throws Problem too-many-bytes, overloaded, request-timeout, request-malformed
 */
export async function readBody(request: FastifyRequest, payload: Readable): Promise<Buffer> {
  const memory = growing(request, promised(request, request.routeOptions.bodyLimit));
  await arrival(request, payload, memory.add);
  return memory.bytes();
}

/**
 * Memory for bytes that arrive, in pieces however small: it is doubled as often as they need it, and held. (The pieces
 * themselves would take a hundred times as much, where each is a byte.)
 * @param most bytes beyond which it need not grow
 */
function growing(request: FastifyRequest, most: number) {
  let [memory, length] = [Buffer.alloc(0), 0];
  return {
    /** @throws Problem overloaded */
    add(chunk: Buffer): void {
      const wanted = length + chunk.length;
      if (wanted > memory.length) {
        const larger = Math.max(wanted, Math.min(most, 2 * memory.length));
        request.hold(larger - memory.length);
        const old = memory;
        memory = Buffer.allocUnsafeSlow(larger);
        old.copy(memory);
      }
      chunk.copy(memory, length);
      length = wanted;
    },
    bytes: (): Buffer => memory.subarray(0, length),
  };
}

/**
 * Resolves when a body has come to its end, each chunk of it having been handed over. A failure leaves the connection open,
 * so that it can be told.
 * @throws Problem too-many-bytes, request-timeout, request-malformed, and what `take` throws
 */
function arrival(request: FastifyRequest, payload: Readable, take: (chunk: Buffer) => void): Promise<void> {
  const { bodyLimit } = request.routeOptions;
  const { cancellation } = request.work;
  const tooMany = () => new Problem('too-many-bytes', `the body has more than ${bodyLimit} bytes`);
  if (promised(request, 0) > bodyLimit) return Promise.reject(tooMany());
  return new Promise((resolve, reject) => {
    let length = 0;
    const fail = (error: unknown) => {
      payload.off('data', onData);
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length > bodyLimit) return fail(tooMany());
      try {
        take(chunk);
      } catch (error) {
        fail(error);
      }
    };
    const late = (reason: Error) => {
      const timedOut = reason instanceof Problem && reason.code === 'answer-timeout';
      fail(timedOut ? new Problem('request-timeout', 'the body did not arrive in time') : reason);
    };
    const broken = (cause: Error) => fail(new Problem('request-malformed', 'the body broke off', { cause }));
    payload.on('data', onData).once('end', resolve).once('error', broken);
    cancellation.onCancel(late);
    if (cancellation.reason) late(cancellation.reason);
  });
}

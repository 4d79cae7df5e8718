import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../errors.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Bytes of memory that its body takes. */
    held: number;
  }
}

/** Bytes that the memory for a body begins with; it is doubled as often as they arrive. */
const FIRST = 16 * 1024;

/**
 * Reads every body into memory, whatever its type. Bytes are counted as they arrive, promised ones not: a body has at most
 * the route's `bodyLimit`, and all bodies that are held, each until its request is over, have at most `maxBuffer`. The reply
 * to a request that has not arrived whole ends its connection: the rest would be read, or taken for the next request.
 * @throws Problem too-many-bytes, overloaded, request-timeout
 */
export function installBodies(app: FastifyInstance, maxBuffer: number): void {
  let held = 0;
  const hold = (request: FastifyRequest, bytes: number) => {
    if (held + bytes > maxBuffer) {
      throw new Problem('overloaded', `the bodies of all requests have ${held} bytes, and ${maxBuffer} are held`);
    }
    held += bytes;
    request.held += bytes;
  };
  app.decorateRequest('held', 0);
  app.addHook('onRequest', async (request, reply) => {
    reply.raw.once('close', () => {
      held -= request.held;
    });
  });
  app.addHook('onSend', async ({ raw }, reply) => {
    if (raw.complete === false) reply.header('connection', 'close');
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async (request: FastifyRequest, payload: Readable) =>
    request.is404 ? undefined : read(request, payload, (bytes) => hold(request, bytes)),
  );
}

async function read(request: FastifyRequest, payload: Readable, hold: (bytes: number) => void): Promise<Buffer> {
  const { bodyLimit } = request.routeOptions;
  const tooMany = () => new Problem('too-many-bytes', `the body has more than ${bodyLimit} bytes`);
  const promised = Number(request.headers['content-length'] ?? bodyLimit);
  if (promised > bodyLimit) throw tooMany();
  let [memory, length] = [Buffer.alloc(0), 0];
  await eachChunk(payload, request.work.signal, (chunk) => {
    const wanted = length + chunk.length;
    if (wanted > bodyLimit) throw tooMany();
    if (wanted > memory.length) {
      const larger = Math.max(wanted, Math.min(promised, Math.max(FIRST, 2 * memory.length)));
      hold(larger - memory.length);
      const old = memory;
      memory = Buffer.allocUnsafeSlow(larger);
      old.copy(memory);
    }
    chunk.copy(memory, length);
    length = wanted;
  });
  return memory.subarray(0, length);
}

/** Hands over chunks until the end. A failure leaves the connection open, so that it can be told. */
function eachChunk(payload: Readable, signal: AbortSignal, take: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      payload.off('data', onData);
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      try {
        take(chunk);
      } catch (error) {
        fail(error);
      }
    };
    const late = ({ reason }: AbortSignal) =>
      reason instanceof Problem && reason.code === 'answer-timeout'
        ? new Problem('request-timeout', 'the body did not arrive in time')
        : reason;
    const broken = (cause: Error) => fail(new Problem('request-malformed', 'the body broke off', { cause }));
    payload.on('data', onData).once('end', resolve).once('error', broken);
    signal.addEventListener('abort', () => fail(late(signal)), { once: true });
    if (signal.aborted) fail(late(signal));
  });
}

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Status of a request whose client went away before its reply. */
const CLIENT_CLOSED = 499;

/** A request that is over; times by `performance.now()`. */
export interface Ended {
  readonly status: number;
  readonly start: number;
  readonly end: number;
}

type Begun = (request: FastifyRequest) => (ended: Ended) => void;

declare module 'fastify' {
  interface FastifyInstance {
    /** Has a function called for each request, and what that gives once it is over: it is answered, or its client has gone. */
    eachRequest(begun: Begun): void;
  }
}

/** Lets others follow each request to its end, in the order in which they ask. */
export function installEnded(app: FastifyInstance): void {
  const followers: Begun[] = [];
  app.decorate('eachRequest', (begun) => void followers.push(begun));
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    const start = performance.now();
    const waiting = followers.map((begun) => begun(request));
    const close = (status: number) => {
      const end = performance.now();
      for (const over of waiting.splice(0)) over({ status, start, end });
    };
    reply.raw.once('finish', () => close(reply.statusCode));
    reply.raw.once('close', () => close(CLIENT_CLOSED));
  });
}

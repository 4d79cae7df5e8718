import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Status of a request whose client went away before its reply. */
export const CLIENT_CLOSED = 499;

/** A request that is over; times by `performance.now()`. */
export interface Ended {
  readonly status: number;
  readonly start: number;
  readonly end: number;
}

/** Follows each request. */
export interface Follower {
  /** It has come in. */
  begun?(request: FastifyRequest): void;
  /** It is over: answered, or its client has gone. */
  over(request: FastifyRequest, ended: Ended): void;
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Has each request from now on followed. */
    follow(follower: Follower): void;
  }
}

/** Lets others follow each request to its end, in the order in which they ask. */
export function installEnded(app: FastifyInstance): void {
  const followers: Follower[] = [];
  app.decorate('follow', (follower) => void followers.push(follower));
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    const start = performance.now();
    for (const follower of followers) follower.begun?.(request);
    let open = true;
    const close = (status: number) => {
      if (!open) return;
      open = false;
      const ended = { status, start, end: performance.now() };
      for (const follower of followers) follower.over(request, ended);
    };
    // Not by `once`: while a body arrives this lies in memory, with what others have to remember, for every slow client.
    reply.raw.on('finish', () => close(reply.statusCode)).on('close', () => close(CLIENT_CLOSED));
  });
}

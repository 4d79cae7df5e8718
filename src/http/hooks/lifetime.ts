import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Status that is noted for a request whose client closed the connection before the reply was sent. */
export const CLIENT_CLOSED = 499;

/** How a request ended; times in milliseconds by `performance.now()`. */
export interface Ended {
  readonly status: number;
  readonly start: number;
  readonly end: number;
}

/** Callbacks at the start and at the end of every request. */
export interface Follower {
  /** The headers have arrived. */
  begun?(request: FastifyRequest): void;
  /** The reply is sent, or the client has closed the connection. */
  over(request: FastifyRequest, ended: Ended): void;
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Registers callbacks for every request that begins from now on. */
    follow(follower: Follower): void;
  }
}

/**
 * Calls the followers of each request, in the order in which they registered. (The framework's `onResponse` is not called
 * when a client closes the connection early.)
 */
export function installLifetime(app: FastifyInstance): void {
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
    reply.raw.once('finish', () => close(reply.statusCode)).once('close', () => close(CLIENT_CLOSED));
  });
}

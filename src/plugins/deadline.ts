import type { FastifyInstance } from 'fastify';
import { Problem } from '../errors.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Aborted when the answer takes too long, or the client has gone. */
    deadline: AbortSignal;
  }
}

/**
 * Gives each request its deadline. (The framework's own `request.signal` and `handlerTimeout` end with the stream of the
 * request, which for an upload is before the work begins.)
 */
export function installDeadline(app: FastifyInstance, seconds: number): void {
  app.decorateRequest('deadline');
  app.addHook('onRequest', async (request, reply) => {
    const controller = new AbortController();
    request.deadline = controller.signal;
    const late = () => controller.abort(new Problem('answer-timeout', `the answer took more than ${seconds} s`));
    const timer = setTimeout(late, seconds * 1000);
    reply.raw.once('close', () => {
      clearTimeout(timer);
      if (!reply.raw.writableEnded) controller.abort(new Problem('request-malformed', 'the client has gone'));
    });
  });
}

import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { stageTimes } from './server-timing.js';

/** The id of a request: the client's own, where it is short and plain, else a new one. */
export function requestIdOf({ headers }: { readonly headers: IncomingHttpHeaders }): string {
  const id = headers['x-request-id']?.toString() ?? '';
  return /^[\w.-]{1,64}$/.test(id) ? id : randomUUID();
}

/** One line a request, with where its time went, and its id in the reply. Nothing of a body or a query is written. */
export function installLog(app: FastifyInstance): void {
  app.follow({
    over(request, { status, start, end }) {
      const { failure, method, url, traceId } = request;
      const stages = stageTimes(request);
      const line = {
        method,
        path: url.split('?')[0]!.slice(0, 200),
        status,
        ms: Math.round((end - start) * 10) / 10,
        ...(stages && { stages }),
        ...(failure && { code: failure.code }),
        ...(traceId && { trace_id: traceId }),
      };
      if (failure?.error) request.log.error({ ...line, err: failure.error }, 'request');
      else request.log.info(line, 'request');
    },
  });
  app.addHook('onSend', async (request: FastifyRequest, reply: FastifyReply) => {
    reply.header('x-request-id', request.id);
  });
}

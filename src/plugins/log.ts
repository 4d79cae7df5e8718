import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Status that the log gives to a request whose client went away. */
const CLIENT_CLOSED = 499;

/** One line a request, and its id in the reply. Nothing of a body or a query is written. */
export function installLog(app: FastifyInstance): void {
  const write = (request: FastifyRequest, status: number, ms: number) => {
    const { failure, method, url } = request;
    const line = {
      method,
      path: url.split('?')[0]!.slice(0, 200),
      status,
      ms: Math.round(ms * 10) / 10,
      ...(failure && { code: failure.code }),
    };
    if (failure?.error) request.log.error({ ...line, err: failure.error }, 'request');
    else request.log.info(line, 'request');
  };
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    reply.header('x-request-id', request.id);
    reply.raw.once('close', () => {
      if (!reply.raw.writableEnded) write(request, CLIENT_CLOSED, reply.elapsedTime);
    });
  });
  app.addHook('onResponse', async (request, reply) => write(request, reply.statusCode, reply.elapsedTime));
}

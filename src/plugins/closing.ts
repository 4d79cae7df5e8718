import type { FastifyInstance } from 'fastify';

/**
 * While the service closes, each reply that is still under way also ends its connection, which would otherwise be kept
 * open for another request and hold up the end.
 */
export function installClosing(app: FastifyInstance): void {
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
  });
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
}

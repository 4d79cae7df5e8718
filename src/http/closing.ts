import type { FastifyInstance } from 'fastify';
import { Problem } from '../common/problems.js';

/**
 * While the service closes, each reply that is still under way also ends its connection, which would otherwise be kept
 * open for another request and hold up the end; a request that comes all the same is refused.
 * @throws Problem draining
 */
export function installClosing(app: FastifyInstance): void {
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
  });
  app.addHook('onRequest', async () => {
    if (closing) throw new Problem('draining', 'the service is shutting down');
  });
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
}

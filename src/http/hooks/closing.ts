import type { FastifyInstance } from 'fastify';
import { Problem } from '../../common/problems.js';

/**
 * While the service closes, refuses new requests, and closes each connection with the reply under way: kept open for
 * another request, it would delay the end.
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

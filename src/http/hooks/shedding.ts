import type { FastifyInstance } from 'fastify';
import { Problem, problemOf } from '../../common/problems.js';
import type { Engine } from '../../engine/engine.js';

/**
 * Load shedding: refuses requests to routes with an upload, before their body is read, while the models are loading or the
 * queue is full.
 * @throws Problem not-ready, overloaded
 */
export function installShedding(app: FastifyInstance, { admission, status }: Engine): void {
  app.addHook('onRoute', (route) => {
    if (!route.schema?.upload) return;
    route.onRequest = async () => {
      const reason = admission.lack();
      if (reason) throw problemOf(reason);
      if (!status().started) throw new Problem('not-ready', 'the models are still being loaded');
    };
  });
}

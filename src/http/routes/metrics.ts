import { Type } from 'typebox';
import type { Engine } from '../../engine/engine.js';
import type { App } from '../app-type.js';
import { problemResponse } from '../schemas.js';
import { checkReady } from './service.js';

const schema = {
  operationId: 'getMetrics',
  summary: 'Metrics for Prometheus',
  tags: ['service'],
  response: {
    200: { description: 'every series', content: { 'text/plain': { schema: Type.String() } } },
    default: problemResponse,
  },
};

/** GET /metrics */
export function metricsRoute(app: App, engine: Engine): void {
  app.get('/metrics', { schema }, async (_request, reply) => {
    const { metrics } = app;
    const inside = engine.admission.inside();
    const models = { ready: engine.models.size, unavailable: engine.repository.unavailable.size };
    const { backend } = engine;
    const text = await metrics.text({ ...engine.status(), inside, ready: isReady(engine), backend, models });
    return reply.type(metrics.contentType).send(text);
  });
}

/** What GET /readyz says. */
function isReady(engine: Engine): boolean {
  try {
    checkReady(engine);
    return true;
  } catch {
    return false;
  }
}

import type { FastifyInstance } from 'fastify';
import { durations } from '../common/work.js';
import type { Metrics } from '../observe/metrics.js';

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics;
  }
}

/** Counts every request. */
export function installMetrics(app: FastifyInstance, metrics: Metrics): void {
  app.decorate('metrics', metrics);
  app.follow({
    begun: () => metrics.begun(),
    over({ method, routeOptions, work, failure }, { status, start, end }) {
      const stages = work ? durations(work.timeline) : {};
      metrics.over({ route: routeOptions.url, method, status, ms: end - start, stages });
      if (failure) metrics.rejected(failure.code);
    },
  });
}

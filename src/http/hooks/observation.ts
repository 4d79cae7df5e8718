import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SettingsError, variableOf } from '../../common/config.js';
import { durations } from '../../common/work.js';
import type { Metrics } from '../../observe/metrics.js';
import type { Tracing } from '../../observe/traces.js';
import type { Ended } from './lifetime.js';

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics;
  }
}

/** The id of a request: the client's own where it is short and plain, else a new one. */
export function requestIdOf({ headers }: { readonly headers: IncomingHttpHeaders }): string {
  const id = headers['x-request-id']?.toString() ?? '';
  return /^[\w.-]{1,64}$/.test(id) ? id : randomUUID();
}

/**
 * Counts, traces and logs every request, and tells its client the id and the times of its stages.
 * @param otlpEndpoint base URL of a collector of traces; none are recorded where it is empty
 * @throws SettingsError when the endpoint is no URL
 */
export async function installObservation(app: FastifyInstance, metrics: Metrics, otlpEndpoint: string): Promise<void> {
  const tracing = await tracingTo(otlpEndpoint, app);
  app.decorate('metrics', metrics);
  app.follow({
    begun: () => metrics.begun(),
    over(request, ended) {
      count(metrics, request, ended);
      log(request, ended, tracing && trace(tracing, request, ended));
    },
  });
  app.addHook('onSend', async (request, reply) => {
    const times = { ...stageTimes(request), total: rounded(reply.elapsedTime) };
    reply.header('x-request-id', request.id);
    // https://www.w3.org/TR/server-timing/
    reply.header(
      'server-timing',
      Object.entries(times)
        .map(([name, ms]) => `${name};dur=${ms}`)
        .join(', '),
    );
  });
}

/** OpenTelemetry is loaded only where there is an endpoint. */
async function tracingTo(endpoint: string, app: FastifyInstance): Promise<Tracing | undefined> {
  if (endpoint === '') return undefined;
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
    throw new SettingsError(
      `${variableOf('otlpEndpoint')} is ${JSON.stringify(endpoint)}: expected a URL such as http://localhost:4318`,
    );
  }
  const { openTracing } = await import('../../observe/traces.js');
  const tracing = openTracing(endpoint, (err) => app.log.warn({ err, endpoint }, 'traces are lost'));
  app.addHook('onClose', () => tracing.close());
  return tracing;
}

const pathOf = ({ url }: FastifyRequest): string => url.split('?')[0]!;

function count(metrics: Metrics, request: FastifyRequest, { status, start, end }: Ended): void {
  const { method, routeOptions, work, failure } = request;
  const stages = work ? durations(work.timeline) : {};
  metrics.over({ route: routeOptions.url, method, status, code: failure?.code, ms: end - start, stages });
}

/** @returns the id of the trace */
function trace(tracing: Tracing, request: FastifyRequest, { status, start, end }: Ended): string {
  const { method, routeOptions, protocol: scheme, headers, failure, work } = request;
  const stages = work?.timeline.spans ?? [];
  const [route, code, path] = [routeOptions.url, failure?.code, pathOf(request)];
  return tracing.record({ method, route, path, scheme, status, code, headers, start, end, stages });
}

/** One line a request. Nothing of its body or of its query is written. */
function log(request: FastifyRequest, { status, start, end }: Ended, traceId: string | undefined): void {
  const { failure, method } = request;
  const stages = stageTimes(request);
  const line = {
    method,
    path: pathOf(request).slice(0, 200),
    status,
    ms: Math.round((end - start) * 10) / 10,
    ...(stages && { stages }),
    ...(failure && { code: failure.code }),
    ...(traceId && { trace_id: traceId }),
  };
  if (failure?.error) request.log.error({ ...line, err: failure.error }, 'request');
  else request.log.info(line, 'request');
}

/** Milliseconds that a request spent in each stage, to the hundredth; undefined when it reached none. */
function stageTimes({ work }: FastifyRequest): Record<string, number> | undefined {
  const times = Object.entries(work ? durations(work.timeline) : {});
  return times.length === 0 ? undefined : Object.fromEntries(times.map(([stage, ms]) => [stage, rounded(ms)]));
}

const rounded = (ms: number): number => Math.round(ms * 100) / 100;

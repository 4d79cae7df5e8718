import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Config } from '../../common/config.js';
import { durations } from '../../common/work.js';
import type { Metrics } from '../../observe/metrics.js';
import type { Tracing } from '../../observe/traces.js';
import { tracesUrl } from '../../observe/traces-url.js';
import { isHealth } from './keys.js';
import type { Ended } from './lifetime.js';

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics;
  }
  interface FastifyRequest {
    /** Kept for the trace: a connection that is closed does not tell it any more. */
    clientAddress: string | undefined;
  }
}

/** The id of a request: the client's own where it is short and plain, else a new one. */
export function requestIdOf({ headers }: { readonly headers: IncomingHttpHeaders }): string {
  const id = headers['x-request-id']?.toString() ?? '';
  return /^[\w.-]{1,64}$/.test(id) ? id : randomUUID();
}

/**
 * Counts, traces and logs every request, and tells its client the id and the times of its stages.
 * @throws SettingsError when an endpoint of traces is no URL
 */
export async function installObservation(app: FastifyInstance, metrics: Metrics, config: Config): Promise<void> {
  const tracing = await tracingTo(tracesUrl(config), app);
  app.decorate('metrics', metrics);
  app.decorateRequest('clientAddress');
  app.follow({
    begun(request) {
      metrics.begun();
      request.clientAddress = request.ip;
    },
    over(request, ended) {
      count(metrics, request, ended);
      log(request, ended, tracing && !isPolled(request) ? trace(tracing, request, ended) : undefined);
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

/** OpenTelemetry is loaded only where traces are sent. */
async function tracingTo(url: string | undefined, app: FastifyInstance): Promise<Tracing | undefined> {
  if (url === undefined) return undefined;
  const { openTracing } = await import('../../observe/traces.js');
  const tracing = openTracing(url, (err) => app.log.warn({ err, endpoint: url }, 'traces are lost'));
  app.addHook('onClose', () => tracing.close());
  return tracing;
}

/** Whether a request is a health check or a scrape. Orchestrators and Prometheus send one every few seconds, so it gets no trace. */
const isPolled = (request: FastifyRequest): boolean =>
  isHealth(request) || /^\/metrics$|^\/v2\/models\/.*\/ready$/.test(request.routeOptions.url ?? '');

const pathOf = ({ url }: FastifyRequest): string => url.split('?')[0]!;

function count(metrics: Metrics, request: FastifyRequest, { status, start, end }: Ended): void {
  const { method, routeOptions, work, failure } = request;
  const stages = work ? durations(work.timeline) : {};
  metrics.over({ route: routeOptions.url, method, status, code: failure?.code, ms: end - start, stages });
}

/** @returns the id of the trace */
function trace(tracing: Tracing, request: FastifyRequest, ended: Ended): string {
  const { method, routeOptions, protocol, hostname, port, clientAddress, headers, failure, work } = request;
  return tracing.record({
    ...ended,
    method,
    route: routeOptions.url,
    path: pathOf(request),
    query: queryOf(request),
    scheme: protocol,
    host: hostname,
    port,
    client: clientAddress,
    httpVersion: request.raw.httpVersion,
    headers,
    code: failure?.code,
    stages: work?.timeline.spans ?? [],
  });
}

/** The query without what the route does not ask for: a client may put a secret there by mistake. */
function queryOf({ url, routeOptions }: FastifyRequest): string | undefined {
  const start = url.indexOf('?');
  if (start < 0) return undefined;
  const { properties = {} } = (routeOptions.schema?.querystring ?? {}) as { properties?: Record<string, unknown> };
  const pairs = url.slice(start + 1).split('&');
  return pairs.map((pair) => (Object.hasOwn(properties, pair.split('=')[0]!) ? pair : redacted(pair))).join('&');
}

/** OpenTelemetry's word for a value that is left out. */
const REDACTED = 'REDACTED';
const redacted = (pair: string): string => (pair.includes('=') ? `${pair.split('=')[0]}=${REDACTED}` : REDACTED);

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

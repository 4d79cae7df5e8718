import type { FastifyInstance } from 'fastify';
import { SettingsError, variableOf } from '../common/config.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Once the request is over, where it is traced. */
    traceId?: string;
  }
}

/**
 * Sends a trace of each request to a collector, if there is an endpoint; else none of OpenTelemetry is loaded.
 * @throws SettingsError when the endpoint is no URL
 */
export async function installTracing(app: FastifyInstance, endpoint: string): Promise<void> {
  if (endpoint === '') return;
  if (!/^https?:$/.test(protocolOf(endpoint))) {
    throw new SettingsError(
      `${variableOf('otlpEndpoint')} is ${JSON.stringify(endpoint)}: expected a URL such as http://localhost:4318`,
    );
  }
  const { openTracing } = await import('../observe/traces.js');
  const tracing = openTracing(endpoint, (err) => app.log.warn({ err, endpoint }, 'traces are lost'));
  app.follow({
    over(request, { status, start, end }) {
      const { method, routeOptions, url, protocol: scheme, headers, failure, work } = request;
      const path = url.split('?')[0]!;
      const stages = work?.timeline.spans ?? [];
      const { url: route } = routeOptions;
      const code = failure?.code;
      request.traceId = tracing.record({ method, route, path, scheme, status, code, headers, start, end, stages });
    },
  });
  app.addHook('onClose', () => tracing.close());
}

const protocolOf = (url: string): string => (URL.canParse(url) ? new URL(url).protocol : '');

import type { IncomingHttpHeaders } from 'node:http';
import { defaultTextMapGetter, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base';
import { version } from '../../export/files/package.js';
import type { Span } from '../common/work.js';

/** A request that is over; times by `performance.now()`. */
export interface Traced {
  readonly method: string;
  /** The pattern of its route; undefined when it matched none. */
  readonly route: string | undefined;
  readonly path: string;
  readonly scheme: string;
  readonly status: number;
  /** The code of the problem, if it failed. */
  readonly code: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly start: number;
  readonly end: number;
  readonly stages: readonly Span[];
}

/** Sends traces to a collector. */
export interface Tracing {
  /** Records a request as a span with a child for each stage. @returns the id of its trace */
  record(traced: Traced): string;
  /** Sends the remaining spans, and gives up after some seconds. */
  close(): Promise<void>;
}

/** Milliseconds for an export with all its retries, for the last export, and between two warnings of failed exports. */
const PATIENCE = 3000;
const LAST = 2 * PATIENCE;
const WARN_EVERY = 60_000;

/**
 * @param endpoint base URL of a collector that takes OTLP over HTTP
 * @param warn is called with the error of a failed export, at most once a minute
 */
export function openTracing(endpoint: string, warn: (error: Error | undefined) => void): Tracing {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: PATIENCE,
  });
  const processor = new BatchSpanProcessor(telling(exporter, seldom(warn)), { exportTimeoutMillis: PATIENCE });
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': 'irevnet', 'service.version': version }))
    .merge(detectResources({ detectors: [envDetector] }));
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] });
  const tracer = provider.getTracer('irevnet', version);
  const propagator = new W3CTraceContextPropagator();
  return {
    record({ method, route, path, scheme, status, code, headers, start, end, stages }) {
      // The two clocks drift apart, so each trace compares them anew; once, so that its spans agree.
      const epoch = Date.now() - performance.now();
      const parent = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
      const failed = status >= 500;
      const attributes = {
        'http.request.method': method,
        'http.route': route,
        'http.response.status_code': status,
        'url.scheme': scheme,
        'url.path': path,
        'error.type': failed ? (code ?? String(status)) : undefined,
      };
      const name = route === undefined ? method : `${method} ${route}`;
      const options = { kind: SpanKind.SERVER, startTime: epoch + start, attributes };
      const span = tracer.startSpan(name, options, parent);
      const inside = trace.setSpan(ROOT_CONTEXT, span);
      for (const { stage, start, end } of stages) {
        tracer.startSpan(stage, { startTime: epoch + start }, inside).end(epoch + end);
      }
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(epoch + end);
      return span.spanContext().traceId;
    },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, LAST);
      });
      // A failed export has already been logged.
      await Promise.race([provider.shutdown().catch(() => undefined), late]);
      clearTimeout(timer);
    },
  };
}

/** An exporter that also calls `tell` for every failed export. */
const telling = (exporter: SpanExporter, tell: (error: Error | undefined) => void): SpanExporter => ({
  export: (spans, done) =>
    exporter.export(spans, (result) => {
      if (result.code === ExportResultCode.FAILED) tell(result.error);
      done(result);
    }),
  shutdown: () => exporter.shutdown(),
});

/** Limits calls to one every `WARN_EVERY` milliseconds. */
function seldom<T>(call: (value: T) => void): (value: T) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (value) => {
    if (performance.now() - last < WARN_EVERY) return;
    last = performance.now();
    call(value);
  };
}

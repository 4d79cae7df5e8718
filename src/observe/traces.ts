import { defaultTextMapGetter, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base';
import { version } from '../../export/files/package.js';
import type { Span } from '../common/work.js';
import { type Exchange, httpAttributes, isFailed, spanName } from './http-attributes.js';

/** A request that is over; times by `performance.now()`. */
export interface Traced extends Exchange {
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
 * @param url where a collector takes traces by OTLP over HTTP
 * @param warn is called with the error of a failed export, at most once a minute
 */
export function openTracing(url: string, warn: (error: Error | undefined) => void): Tracing {
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: PATIENCE });
  const processor = new BatchSpanProcessor(telling(exporter, seldom(warn)), { exportTimeoutMillis: PATIENCE });
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': 'irevnet', 'service.version': version }))
    .merge(detectResources({ detectors: [envDetector] }));
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] });
  const tracer = provider.getTracer('irevnet', version);
  const propagator = new W3CTraceContextPropagator();
  return {
    record({ start, end, stages, ...exchange }) {
      // The two clocks drift apart, so each trace compares them anew; once, so that its spans agree.
      const epoch = Date.now() - performance.now();
      const parent = propagator.extract(ROOT_CONTEXT, exchange.headers, defaultTextMapGetter);
      const options = { kind: SpanKind.SERVER, startTime: epoch + start, attributes: httpAttributes(exchange) };
      const span = tracer.startSpan(spanName(exchange), options, parent);
      const inside = trace.setSpan(ROOT_CONTEXT, span);
      for (const { stage, start, end } of stages) {
        tracer.startSpan(stage, { startTime: epoch + start }, inside).end(epoch + end);
      }
      if (isFailed(exchange)) span.setStatus({ code: SpanStatusCode.ERROR });
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

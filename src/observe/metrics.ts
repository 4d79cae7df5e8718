import { createRequire } from 'node:module';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { version } from '../../export/files/package.js';
import { type ProblemCode, problemCodes } from '../common/problems.js';
import { type Stage, stages } from '../common/work.js';
import type { Backend, Observer } from '../engine/backend.js';
import type { Status } from '../engine/pool.js';
import { losses } from '../engine/replica.js';
import { seriesIn } from './declared.js';
import { gpuSeries, watchGpus } from './gpu.js';

/** A request that is over. */
export interface Answered {
  /** The pattern of its route; undefined when it matched none. */
  readonly route: string | undefined;
  readonly method: string;
  readonly status: number;
  /** The code of the problem, if it failed. */
  readonly code: ProblemCode | undefined;
  readonly ms: number;
  /** Milliseconds in each stage that it reached. */
  readonly stages: Partial<Record<Stage, number>>;
}

/** The state of the service when the metrics are read. */
export interface Present extends Status {
  readonly ready: boolean;
  /** Images accepted and not yet answered. */
  readonly inside: number;
  readonly backend: Pick<Backend, 'kind' | 'devices'>;
  /** Numbers of models. */
  readonly models: { readonly ready: number; readonly unavailable: number };
}

/** The metrics of one service. */
export interface Metrics {
  /** Is called by the engine. */
  readonly observer: Pick<Required<Observer>, 'batch' | 'lost'>;
  /** A request has begun. */
  begun(): void;
  /** A request that had begun is over. */
  over(answered: Answered): void;
  /** A request failed before it could begin: its head could not be read. */
  rejected(code: ProblemCode): void;
  readonly contentType: string;
  /** Every series, in the text format of Prometheus. */
  text(present: Present): Promise<string>;
}

/** The route of requests that match none. Their paths would let a client create any number of series. */
const NO_ROUTE = 'none';

export function createMetrics(gpus = watchGpus()): Metrics {
  const registry = new Registry();
  const ofProcess = processRegistry();
  const { counter, gauge, histogram } = seriesIn(registry);
  const requests = counter('irevnet_requests_total');
  const requestSeconds = histogram('irevnet_request_seconds');
  const stageSeconds = histogram('irevnet_stage_seconds');
  const batchImages = histogram('irevnet_batch_images');
  const batchSeconds = histogram('irevnet_batch_seconds');
  const queueImages = gauge('irevnet_queue_images');
  const inFlightImages = gauge('irevnet_in_flight_images');
  const inFlightRequests = gauge('irevnet_in_flight_requests');
  const workers = gauge('irevnet_workers');
  const ready = gauge('irevnet_ready');
  const models = gauge('irevnet_models');
  const restarts = counter('irevnet_worker_restarts_total');
  const rejected = counter('irevnet_rejected_total');
  const provider = gauge('irevnet_execution_provider_info');
  const readGpus = gpuSeries(registry, gpus);
  gauge('irevnet_build_info').set({ version, node: process.version, onnxruntime }, 1);
  // Prometheus' rate() misses the first event of a series that begins with it.
  for (const reason of losses) restarts.inc({ reason }, 0);
  for (const code of problemCodes) rejected.inc({ code }, 0);
  for (const stage of stages) stageSeconds.zero({ stage });
  return {
    observer: {
      batch({ model, graph, images, ms }) {
        batchImages.observe({ model, graph }, images);
        batchSeconds.observe({ model, graph }, ms / 1000);
      },
      lost: (reason) => restarts.inc({ reason }),
    },
    begun: () => inFlightRequests.inc(),
    over({ route = NO_ROUTE, method, status, code, ms, stages }) {
      inFlightRequests.dec();
      requests.inc({ route, method, status });
      requestSeconds.observe({ route }, ms / 1000);
      for (const [stage, took] of Object.entries(stages)) stageSeconds.observe({ stage }, took / 1000);
      if (code) rejected.inc({ code });
    },
    rejected: (code) => rejected.inc({ code }),
    contentType: registry.contentType,
    async text(present) {
      queueImages.set(present.waiting);
      inFlightImages.set(present.inside);
      workers.set({ state: 'up' }, present.up);
      workers.set({ state: 'down' }, present.workers - present.up);
      workers.set({ state: 'hung' }, present.hung);
      for (const [state, count] of Object.entries(present.models)) models.set({ state }, count);
      ready.set(Number(present.ready));
      for (const device of present.backend.devices) provider.set({ provider: present.backend.kind, device }, 1);
      await readGpus();
      return `${await registry.metrics()}\n${await ofProcess.metrics()}`;
    },
  };
}

const { version: onnxruntime } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };

let shared: Registry | undefined;

/** Series of the process, shared by all services in it: prom-client never removes its listeners from the process. */
function processRegistry(): Registry {
  if (shared) return shared;
  shared = new Registry();
  collectDefaultMetrics({ register: shared });
  return shared;
}

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Upper bounds of the buckets of a histogram: seconds, and images. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const IMAGES = [1, 2, 4, 8, 16, 32, 64, 128, 256];

interface Declaration {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels?: readonly string[];
  readonly buckets?: readonly number[];
}

/** Every series that the service declares; prom-client adds those of the process. */
export const declared = {
  irevnet_requests_total: {
    type: 'counter',
    help: 'Requests that are over, by the pattern of their route; status 499: the client closed the connection',
    labels: ['route', 'method', 'status'],
  },
  irevnet_request_seconds: {
    type: 'histogram',
    help: 'Time of a request, from its headers to the end of its reply',
    labels: ['route'],
    buckets: SECONDS,
  },
  irevnet_stage_seconds: {
    type: 'histogram',
    help: 'Time of a request in each stage that it reached',
    labels: ['stage'],
    buckets: SECONDS,
  },
  irevnet_batch_images: {
    type: 'histogram',
    help: 'Images in a batch',
    labels: ['model', 'graph'],
    buckets: IMAGES,
  },
  irevnet_batch_seconds: {
    type: 'histogram',
    help: 'Time of a batch in its worker',
    labels: ['model', 'graph'],
    buckets: SECONDS,
  },
  irevnet_queue_images: { type: 'gauge', help: 'Images that wait for a worker' },
  irevnet_in_flight_images: { type: 'gauge', help: 'Images accepted and not yet answered' },
  irevnet_in_flight_requests: {
    type: 'gauge',
    help: 'Requests not yet answered, the request for these metrics among them',
  },
  irevnet_workers: {
    type: 'gauge',
    help: 'Workers by state. up: ready to run a batch; down: being replaced; hung: threads that were abandoned',
    labels: ['state'],
  },
  irevnet_ready: { type: 'gauge', help: '1 when /readyz answers 200, else 0' },
  irevnet_models: {
    type: 'gauge',
    help: 'Models by state. ready: served; unavailable: they cannot be loaded, GET /models says why',
    labels: ['state'],
  },
  irevnet_worker_restarts_total: { type: 'counter', help: 'Workers that were replaced', labels: ['reason'] },
  irevnet_rejected_total: {
    type: 'counter',
    help: 'Requests that failed, by the code of the problem',
    labels: ['code'],
  },
  irevnet_build_info: { type: 'gauge', help: 'Versions; always 1', labels: ['version', 'node', 'onnxruntime'] },
  irevnet_execution_provider_info: {
    type: 'gauge',
    help: 'Execution provider: cpu, cuda with the number of the GPU, or oip with the URL of a server; always 1',
    labels: ['provider', 'device'],
  },
  irevnet_gpu_utilization_ratio: {
    type: 'gauge',
    help: 'Share of the last seconds in which the GPU was busy',
    labels: ['gpu'],
  },
  irevnet_gpu_memory_used_bytes: { type: 'gauge', help: 'Memory of the GPU in use, by all processes', labels: ['gpu'] },
  irevnet_gpu_memory_total_bytes: { type: 'gauge', help: 'Memory of the GPU', labels: ['gpu'] },
} as const satisfies Record<string, Declaration>;

type Declared = typeof declared;

/** Names of the series of a type, and the labels of one. */
export type NameOf<T extends Declaration['type']> = {
  [N in keyof Declared]: Declared[N]['type'] extends T ? N : never;
}[keyof Declared];
export type LabelOf<N extends keyof Declared> = Declared[N] extends {
  readonly labels: readonly (infer L extends string)[];
}
  ? L
  : never;

/** Creates declared series in a registry. */
export const seriesIn = (registry: Registry) => ({
  counter: <N extends NameOf<'counter'>>(name: N) => new Counter<LabelOf<N>>(settingsOf(name, registry)),
  gauge: <N extends NameOf<'gauge'>>(name: N) => new Gauge<LabelOf<N>>(settingsOf(name, registry)),
  histogram: <N extends NameOf<'histogram'>>(name: N) => new Histogram<LabelOf<N>>(settingsOf(name, registry)),
});

function settingsOf<N extends keyof Declared>(name: N, registry: Registry) {
  const { help, labels = [], buckets = [] }: Declaration = declared[name];
  return { name, help, labelNames: labels as readonly LabelOf<N>[], buckets: [...buckets], registers: [registry] };
}

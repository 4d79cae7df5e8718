import { owned, rows, stack } from '../../export/graph/rows.js';
import type { Tensor } from '../../export/graph/tensor.js';
import { deferred } from '../common/deferred.js';
import type { Work } from '../common/work.js';
import type { Waiting } from './batcher.js';
import type { Batch, GraphName, OutputName, Outputs } from './protocol.js';

/** A request to run a graph on a batch of images, of any size from one. */
export interface Job<O extends OutputName> {
  readonly model: string;
  readonly graph: GraphName;
  readonly input: Tensor;
  readonly outputs: readonly O[];
  /** Once it is cancelled, what still waits is dropped; a batch that runs cannot be stopped. */
  readonly work?: Work | undefined;
}

/** A part of a job, which fits into a batch. */
export interface Waiter extends Waiting {
  lane: string;
  job: Job<OutputName>;
  /** Nobody waits for it any more. */
  over: boolean;
  /** When it was given to a worker, and whether one was lost over it. */
  begun: number;
  retried: boolean;
  resolve(outputs: Outputs): void;
  reject(reason: unknown): void;
}

/** A job as parts that fit into a batch, and are spread over the workers. */
export function split(job: Job<OutputName>, limit: number, workers: number) {
  const count = job.input.dims[0]!;
  const size = Math.min(limit, Math.ceil(count / workers));
  const since = performance.now();
  const waiters: Waiter[] = [];
  const results: Promise<Outputs>[] = [];
  for (let from = 0; from < count; from += size) {
    const to = Math.min(from + size, count);
    const { promise, resolve, reject } = deferred<Outputs>();
    results.push(promise);
    waiters.push({
      lane: `${job.model}/${job.graph}`,
      images: to - from,
      limit,
      since,
      job: { ...job, input: rows(job.input, from, to) },
      begun: Number.NaN,
      retried: false,
      over: false,
      resolve,
      reject,
    });
  }
  return { waiters, results };
}

/** Puts parts together to a batch. What one job brought is copied, so that it is still there if the worker is lost. */
export function batchOf(waiters: readonly Waiter[]): Batch {
  const { model, graph } = waiters[0]!.job;
  const begun = performance.now();
  for (const waiter of waiters) waiter.begun = begun;
  const input = stack(waiters.map(({ job }) => job.input));
  const own = waiters.length > 1 ? input : { ...input, data: input.data.slice() };
  const outputs = [...new Set(waiters.flatMap(({ job }) => job.outputs))];
  return { model, graph, input: owned(own as Tensor), outputs };
}

/** Gives each waiter its rows of a batch's outputs. */
export function settle(waiters: readonly Waiter[], outputs: Partial<Outputs>): void {
  let from = 0;
  for (const { images, resolve } of waiters) {
    const to = from + images;
    const own = Object.entries(outputs).map(([name, tensor]) => [name, rows<Tensor>(tensor, from, to)]);
    resolve(Object.fromEntries(own) as Outputs);
    from = to;
  }
}

/** Notes how long a job waited until its first part was begun, and how long it took from there. */
export function tell(work: Work | undefined, waiters: readonly Waiter[]): void {
  const end = performance.now();
  const begun = Math.min(...waiters.map((w) => (Number.isNaN(w.begun) ? end : w.begun)));
  work?.timeline?.add({ stage: 'queue', start: waiters[0]!.since, end: begun });
  if (begun < end) work?.timeline?.add({ stage: 'inference', start: begun, end });
}

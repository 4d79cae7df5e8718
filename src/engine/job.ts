import { joined, owned, rows, stack } from '../../export/graph/rows.js';
import type { Tensor } from '../../export/graph/tensor.js';
import type { GraphName, TensorName, Tensors } from '../../export/model/signature.js';
import { type Deferred, deferred } from '../common/deferred.js';
import type { Work } from '../common/work.js';
import type { Queued } from './batcher.js';
import type { Batch, Edition } from './protocol.js';

/** A request to run a graph on a number of images, from one. */
export interface Job<N extends TensorName = TensorName, Model = Edition> {
  readonly model: Model;
  readonly graph: GraphName;
  /** A row per image. */
  readonly input: Tensor;
  readonly outputs: readonly N[];
  /** When its signal is aborted, tasks that still wait are dropped; a batch that runs cannot be interrupted. */
  readonly work?: Work | undefined;
}

/** A slice of a job that fits into a batch. */
export interface Task extends Queued {
  lane: string;
  readonly job: Job;
  /** The job's rows of this task. */
  readonly input: Tensor;
  /** Whether no caller waits for it any more: its job has succeeded, failed or been aborted. */
  over: boolean;
  /** When it was given to a replica; undefined while it waits. */
  begun: number | undefined;
  /** Whether a replica was lost over it. */
  retried: boolean;
  readonly result: Deferred<Partial<Tensors>>;
}

/** Splits a job into tasks that fit into a batch; a job that is larger than one batch is spread over all replicas. */
export function split(job: Job, replicas: number): Task[] {
  const { id, limit } = job.model;
  const count = job.input.dims[0]!;
  const size = Math.min(limit, Math.ceil(count / replicas));
  const since = performance.now();
  return Array.from({ length: Math.ceil(count / size) }, (_, i) => {
    const [from, to] = [i * size, Math.min((i + 1) * size, count)];
    return {
      lane: `${id}/${job.graph}`,
      images: to - from,
      limit,
      since,
      job,
      input: rows(job.input, from, to),
      over: false,
      begun: undefined,
      retried: false,
      result: deferred<Partial<Tensors>>(),
    };
  });
}

/**
 * Joins tasks of one lane into a batch. Its input has a buffer of its own, which can be transferred to a worker: the rows
 * of the tasks are still there if the worker is lost.
 */
export function batchOf(tasks: readonly Task[]): Batch {
  const { model, graph } = tasks[0]!.job;
  const begun = performance.now();
  for (const task of tasks) task.begun = begun;
  const input = stack(tasks.map((task) => task.input));
  const copy = tasks.length > 1 ? input : ({ ...input, data: input.data.slice() } as Tensor);
  const outputs = [...new Set(tasks.flatMap(({ job }) => job.outputs))];
  return { model: model.id, graph, input: owned(copy), outputs };
}

/** Resolves each task with its rows of a batch's outputs. */
export function settle(tasks: readonly Task[], outputs: Partial<Tensors>): void {
  let from = 0;
  for (const { images, result } of tasks) {
    const to = from + images;
    const own = Object.entries(outputs).map(([name, tensor]) => [name, rows<Tensor>(tensor, from, to)]);
    result.resolve(Object.fromEntries(own) as Partial<Tensors>);
    from = to;
  }
}

/** Waits for the tasks of a job and joins their outputs. @throws what the first failed task was rejected with */
export async function resultsOf<N extends TensorName>(job: Job<N>, tasks: readonly Task[]): Promise<Pick<Tensors, N>> {
  const results = await Promise.all(tasks.map(({ result }) => result.promise));
  const outputs = job.outputs.map((name) => [name, joined(results.map((result) => result[name] as Tensor))]);
  return Object.fromEntries(outputs) as Pick<Tensors, N>;
}

/** Records how long a job waited until its first task was begun, and how long it took from there. */
export function recordTimes({ work }: Job, tasks: readonly Task[]): void {
  const end = performance.now();
  const begun = Math.min(...tasks.map((task) => task.begun ?? end));
  work?.timeline?.add({ stage: 'queue', start: tasks[0]!.since, end: begun });
  if (begun < end) work?.timeline?.add({ stage: 'inference', start: begun, end });
}

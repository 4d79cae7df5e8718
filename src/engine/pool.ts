import type { TensorName, Tensors } from '../../export/model/signature.js';
import { deferred } from '../common/deferred.js';
import { Problem } from '../common/problems.js';
import type { Backend, Observer } from './backend.js';
import { createBatcher } from './batcher.js';
import { batchOf, type Job, recordTimes, resultsOf, settle, split, type Task } from './job.js';
import type { Edition, Outcome } from './protocol.js';
import type { Loss, Replica, ReplicaEvents } from './replica.js';

/**
 * Runs a job and returns the outputs asked for, a row per image.
 * @throws Problem worker-lost, when two replicas were lost over it; Problem inverse-untrusted, model-unavailable; the
 *   reason of its signal
 */
export type Run<Model> = <N extends TensorName>(job: Job<N, Model>) => Promise<Pick<Tensors, N>>;

/** Replicas behind one queue. */
export interface Pool {
  readonly run: Run<Edition>;
  /** Resolves when as many replicas as are needed have started; rejects when one cannot start. */
  readonly ready: Promise<void>;
  /**
   * Loads a model on one replica after the other, so that those that are left go on serving.
   * @throws Error why a replica cannot load it; Problem not-ready where no replica is up
   */
  load(model: Edition): Promise<void>;
  /** Releases a model on every replica. @param id of its edition */
  unload(id: string): void;
  status(): Status;
  close(): Promise<void>;
}

export interface Status {
  /** Whether as many replicas as are needed have started. It stays so while some are replaced, until the pool closes. */
  readonly started: boolean;
  /** Replicas that are up. */
  readonly up: number;
  /** Replicas. */
  readonly workers: number;
  /** Images in the queue. */
  readonly waiting: number;
  /** Workers that hung and were given up; their threads remain until the process ends. */
  readonly hung: number;
}

export interface PoolSettings extends Pick<Backend, 'replicas' | 'needed' | 'fairShare'> {
  /** Milliseconds that a batch which is not full waits for more images. */
  readonly maxDelay: number;
  /** A replica that starts cannot load a model. @returns whether it is of use without it; else it is started again */
  spare?(id: string, error: Error): boolean;
}

export function createPool(settings: PoolSettings, observer: Observer): Pool {
  const { needed, fairShare, maxDelay, spare = () => false } = settings;
  const batcher = createBatcher<Task>(maxDelay);
  const running = new Map<Replica, readonly Task[]>();
  const ready = deferred<void>();
  let started = false;
  let closing = false;
  let retries = 0;
  let timer: NodeJS.Timeout | undefined;

  /** Images that an idle replica takes: one share per replica, and one for images that are just being decoded. */
  const share = (): number => {
    if (!fairShare || maxDelay > 0) return Infinity;
    return Math.ceil((batcher.waiting() + imagesIn([...running.values()].flat())) / (replicas.length + 1));
  };
  const dispatch = () => {
    clearTimeout(timer);
    for (const replica of replicas) {
      if (!replica.isIdle()) continue;
      const tasks = batcher.take(performance.now(), share());
      if (tasks.length === 0) break;
      running.set(replica, tasks);
      replica.run(batchOf(tasks));
    }
    const due = batcher.due();
    if (due !== undefined && replicas.some((replica) => replica.isIdle())) {
      timer = setTimeout(dispatch, Math.max(0, due - performance.now()));
    }
  };
  const runningOn = (replica: Replica): readonly Task[] => {
    const tasks = running.get(replica) ?? [];
    running.delete(replica);
    return tasks;
  };
  const finish = (tasks: readonly Task[], outcome: Outcome) => {
    const { job, begun } = tasks[0]!;
    const { model, graph } = job;
    observer.batch?.({ model: model.manifest.name, graph, images: imagesIn(tasks), ms: performance.now() - begun! });
    if (outcome.kind === 'done') settle(tasks, outcome.outputs);
    else for (const { result } of tasks) result.reject(errorOf(outcome));
  };
  /** Queues a task again whose replica was lost; fails it if that happened before. */
  const retry = (task: Task, why: Loss) => {
    if (task.over) return;
    if (why !== 'refused') {
      if (task.retried) {
        const message = 'two workers, or servers behind this one, were lost over this request';
        return task.result.reject(new Problem('worker-lost', message));
      }
      task.retried = true;
      // Alone in a lane of its own: if this task is what ends workers, it takes no others along.
      task.lane = `${task.lane} retry ${retries++}`;
    }
    batcher.putBack(task);
  };
  const eventsOf = (replica: () => Replica): ReplicaEvents => ({
    idle() {
      if (!started && up() >= needed) {
        started = true;
        ready.resolve();
      }
      dispatch();
    },
    ended: (outcome) => finish(runningOn(replica()), outcome),
    startFailed: ready.reject,
    spare,
    lost(why, message) {
      observer.lost?.(why, message);
      for (const task of runningOn(replica())) retry(task, why);
      dispatch();
    },
  });
  const replicas: Replica[] = settings.replicas.map((start) => {
    const replica: Replica = start(eventsOf(() => replica));
    return replica;
  });
  const up = () => replicas.filter((replica) => replica.isUp()).length;
  // Nobody may be waiting for `ready`: without this, a failed start would be an unhandled rejection.
  ready.promise.catch(() => undefined);

  return {
    ready: ready.promise,
    async run(job) {
      const signal = job.work?.signal;
      signal?.throwIfAborted();
      const tasks = split(job, replicas.length);
      const abort = () => {
        for (const { result } of tasks) result.reject(signal?.reason);
      };
      signal?.addEventListener('abort', abort, { once: true });
      batcher.add(tasks);
      dispatch();
      try {
        return await resultsOf(job, tasks);
      } finally {
        signal?.removeEventListener('abort', abort);
        batcher.remove(tasks);
        recordTimes(job, tasks);
        for (const task of tasks) task.over = true;
      }
    },
    async load(model) {
      let loaded = 0;
      for (const replica of replicas) if (await replica.load(model)) loaded++;
      if (loaded === 0) throw new Problem('not-ready', 'no worker is up that could load the model');
    },
    unload(id) {
      for (const replica of replicas) replica.unload(id);
    },
    status: () => ({
      started: started && !closing,
      up: up(),
      workers: replicas.length,
      waiting: batcher.waiting(),
      hung: replicas.reduce((sum, replica) => sum + replica.hung(), 0),
    }),
    async close() {
      closing = true;
      clearTimeout(timer);
      await Promise.all(replicas.map((replica) => replica.close()));
    },
  };
}

const imagesIn = (tasks: readonly Task[]): number => tasks.reduce((sum, { images }) => sum + images, 0);

const errorOf = ({ message, code }: Extract<Outcome, { kind: 'failed' }>): Error =>
  code ? new Problem(code, message) : new Error(message);

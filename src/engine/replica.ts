import { Worker } from 'node:worker_threads';
import { type Deferred, deferred } from '../common/deferred.js';
import { ExitError } from '../common/exit-codes.js';
import type { Batch, Change, Edition, Order, Outcome, Report, RoundTrip, WorkerSettings } from './protocol.js';

/** Why a worker was replaced, or a server left alone for a while. `refused`: it had not begun the batch. */
export const losses = ['died', 'hung', 'not-loaded', 'refused'] as const;
export type Loss = (typeof losses)[number];

/** Runs one batch at a time, and recovers by itself: a slot for a worker thread, or for a batch at a remote server. */
export interface Replica {
  /** Whether it can take a batch now. */
  isIdle(): boolean;
  /** Whether it is idle or runs a batch; not while it starts or recovers. */
  isUp(): boolean;
  /** Starts a batch. Its input's buffer may be transferred. */
  run(batch: Batch): void;
  /**
   * Loads a model beside the others, between two batches.
   * @returns false where it is down: it loads the model when it starts
   * @throws Error why it cannot load the model
   */
  load(model: Edition): Promise<boolean>;
  /** Releases a model, between two batches. @param id of its edition */
  unload(id: string): void;
  close(): Promise<void>;
  /** Workers of this replica that hung and were given up, and whose threads still exist. */
  hung(): number;
}

/** What a replica tells the pool. */
export interface ReplicaEvents {
  /** It has started or recovered, or its batch has ended: it can take a batch. */
  idle(): void;
  /** Its batch has ended; `idle` follows. */
  ended(outcome: Outcome): void;
  /** It cannot start. It tries again nevertheless. */
  startFailed(error: Error): void;
  /** While it starts, it cannot load a model. @returns whether it is of use without it */
  spare(id: string, error: Error): boolean;
  /** Its worker or server is lost, together with the batch that it ran. */
  lost(why: Loss, message?: string): void;
}

export type StartReplica = (events: ReplicaEvents) => Replica;

/** Starts a worker thread. */
export type SpawnWorker = (settings: WorkerSettings) => Worker;

export const spawnWorker: SpawnWorker = (workerData) =>
  new Worker(new URL('./worker.js', import.meta.url), { workerData });

/** Milliseconds to wait before the second try after a failure, and at most. */
const FIRST_DELAY = 100;
const LONGEST_DELAY = 30_000;

/** Milliseconds to wait after this many failures in a row: exponential back-off. The first retry is immediate. */
export const backOff = (failures: number, longest = LONGEST_DELAY): number =>
  failures === 0 ? 0 : Math.min(longest, FIRST_DELAY * 2 ** (failures - 1));

const STOP: Order = { kind: 'stop' };

interface Thread {
  readonly worker: Worker;
  readonly exited: Promise<void>;
  /** Resolves when the thread has exited, or is given up because it hangs. */
  readonly over: Deferred<void>;
  state: 'loading' | 'idle' | 'busy' | 'gone';
}

/** A load or an unload that waits for its turn, or that the worker carries out. */
interface Chore {
  readonly order: Order;
  /** Whether it was carried out; false: the worker was lost before. */
  readonly done: Deferred<boolean>;
}

export interface WorkerReplicaOptions {
  /** What a worker is started with; asked for each. */
  settings(): WorkerSettings;
  /** Seconds for a batch; a worker that takes longer counts as hung. */
  readonly hangTimeout: number;
  readonly spawn: SpawnWorker;
  /** A Φ⁻¹ passed its self-test. */
  tested(model: Edition, found: RoundTrip): void;
}

/** A slot for a worker thread: one that dies or hangs is replaced, after ever longer pauses while replacements fail. */
export function startWorkerReplica(options: WorkerReplicaOptions, events: ReplicaEvents): Replica {
  const { settings, hangTimeout, spawn, tested } = options;
  let watchdog: NodeJS.Timeout | undefined;
  let restart: NodeJS.Timeout | undefined;
  let failures = 0;
  let hung = 0;
  let closing = false;
  let thread: Thread;
  let chores: Chore[] = [];
  let chore: Chore | undefined;

  const watch = (from: Thread) => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => lose(from, 'hung'), hangTimeout * 1000);
  };
  /** The thread has nothing to do: it does the next chore, or waits for a batch. */
  const free = (from: Thread) => {
    chore = chores.shift();
    from.state = chore ? 'busy' : 'idle';
    if (chore) from.worker.postMessage(chore.order);
    else events.idle();
  };
  const later = (order: Order): Promise<boolean> => {
    const added: Chore = { order, done: deferred() };
    if (thread.state === 'gone') return Promise.resolve(false);
    chores.push(added);
    if (thread.state === 'idle') free(thread);
    return added.done.promise;
  };
  /** The thread has changed what is loaded: for a chore, or while it starts. */
  const changed = (from: Thread, change: Change) => {
    const error = change.kind === 'not-loaded' ? new ExitError(change.reason, change.message) : undefined;
    if (chore) {
      if (error) chore.done.reject(error);
      else chore.done.resolve(true);
      free(from);
    } else if (error && !events.spare(change.model, error)) {
      events.startFailed(error);
      lose(from, 'not-loaded', error.message);
    }
  };
  const receive = (from: Thread, report: Report) => {
    // A worker that was given up may still answer.
    if (from.state === 'gone') return;
    switch (report.kind) {
      case 'tested':
        return tested(report.model, report.found);
      case 'loading-graph':
        return clearTimeout(watchdog);
      case 'loaded-graph':
        return watch(from);
      case 'loaded':
      case 'unloaded':
      case 'not-loaded':
        return changed(from, report);
    }
    clearTimeout(watchdog);
    if (report.kind !== 'ready') {
      // Only now: a worker that loads but dies with its first batch is restarted ever more slowly, too.
      failures = 0;
      events.ended(report);
    }
    free(from);
  };
  /** What a lost worker had to load, it loads when it starts again; what it was loading may be why it is lost. */
  const dropChores = () => {
    chore?.done.reject(new Error('a worker ended while it loaded the model'));
    for (const { done } of chores) done.resolve(false);
    chore = undefined;
    chores = [];
  };
  const lose = (from: Thread, why: Loss, message?: string) => {
    if (from.state === 'gone') return;
    clearTimeout(watchdog);
    from.state = 'gone';
    dropChores();
    from.over.resolve();
    if (why === 'hung') {
      hung++;
      from.exited.then(() => hung--);
    }
    // Native code cannot be interrupted, and terminating the thread would abort the process. If it ever returns, it exits.
    from.worker.postMessage(STOP);
    from.worker.unref();
    if (closing) return;
    restart = setTimeout(() => {
      thread = start();
    }, backOff(failures++));
    events.lost(why, message);
  };
  const start = (): Thread => {
    const worker = spawn(settings());
    const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const started: Thread = { worker, exited, over: deferred(), state: 'loading' };
    const ended = (error: Error) => {
      if (started.state === 'loading' && !closing) events.startFailed(error);
      lose(started, 'died', error.message);
    };
    worker.on('message', (report: Report) => receive(started, report));
    worker.on('error', ended);
    worker.on('exit', () => ended(new Error('a worker thread ended while it loaded')));
    return started;
  };

  thread = start();
  return {
    isIdle: () => thread.state === 'idle',
    isUp: () => thread.state === 'idle' || thread.state === 'busy',
    run(batch) {
      thread.state = 'busy';
      watch(thread);
      thread.worker.postMessage({ kind: 'run', batch } satisfies Order, [batch.input.data.buffer as ArrayBuffer]);
    },
    load: (model) => later({ kind: 'load', model }),
    unload(model) {
      // A worker that ends meanwhile has released it, too.
      later({ kind: 'unload', model }).catch(() => undefined);
    },
    async close() {
      closing = true;
      clearTimeout(restart);
      if (thread.state === 'gone') return;
      thread.worker.postMessage(STOP);
      await thread.over.promise;
      clearTimeout(watchdog);
    },
    hung: () => hung,
  };
}

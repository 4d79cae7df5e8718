import { Worker } from 'node:worker_threads';
import { type Deferred, deferred } from '../common/deferred.js';
import { ExitError } from '../common/exit-codes.js';
import {
  type Batch,
  type Order,
  type Outcome,
  type Report,
  type RoundTrip,
  STOP,
  type WorkerSettings,
} from './protocol.js';

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
  /** Its worker or server is lost, together with the batch that it ran. */
  lost(why: Loss): void;
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

interface Thread {
  readonly worker: Worker;
  readonly exited: Promise<void>;
  /** Resolves when the thread has exited, or is given up because it hangs. */
  readonly over: Deferred<void>;
  state: 'loading' | 'idle' | 'busy' | 'gone';
}

export interface WorkerReplicaOptions {
  readonly settings: WorkerSettings;
  /** Seconds for a batch; a worker that takes longer counts as hung. */
  readonly hangTimeout: number;
  readonly spawn: SpawnWorker;
  /** A Φ⁻¹ passed its self-test. */
  tested(model: string, found: RoundTrip): void;
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

  const watch = (from: Thread) => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => lose(from, 'hung'), hangTimeout * 1000);
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
      case 'load-failed':
        events.startFailed(new ExitError(report.reason, report.message));
        return lose(from, 'not-loaded');
    }
    clearTimeout(watchdog);
    from.state = 'idle';
    if (report.kind !== 'ready') {
      // Only now: a worker that loads but dies with its first batch is restarted ever more slowly, too.
      failures = 0;
      events.ended(report);
    }
    events.idle();
  };
  const lose = (from: Thread, why: Loss) => {
    if (from.state === 'gone') return;
    clearTimeout(watchdog);
    from.state = 'gone';
    from.over.resolve();
    if (why === 'hung') {
      hung++;
      from.exited.then(() => hung--);
    }
    // Native code cannot be interrupted, and terminating the thread would abort the process. If it ever returns, it exits.
    from.worker.postMessage(STOP satisfies Order);
    from.worker.unref();
    if (closing) return;
    restart = setTimeout(() => {
      thread = start();
    }, backOff(failures++));
    events.lost(why);
  };
  const start = (): Thread => {
    const worker = spawn(settings);
    const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const started: Thread = { worker, exited, over: deferred(), state: 'loading' };
    const ended = (error: Error) => {
      if (started.state === 'loading' && !closing) events.startFailed(error);
      lose(started, 'died');
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
      thread.worker.postMessage(batch, [batch.input.data.buffer as ArrayBuffer]);
    },
    async close() {
      closing = true;
      clearTimeout(restart);
      if (thread.state === 'gone') return;
      thread.worker.postMessage(STOP satisfies Order);
      await thread.over.promise;
      clearTimeout(watchdog);
    },
    hung: () => hung,
  };
}

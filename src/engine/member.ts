import { Worker } from 'node:worker_threads';
import { type Deferred, deferred } from '../common/deferred.js';
import { ExitError } from '../common/exit-codes.js';
import { pauseAfter } from './pause.js';
import { type Batch, type Order, type Report, type RoundTrip, STOP, type WorkerSettings } from './protocol.js';

/** Why a worker was replaced, or a server left for a while; what it refused, it has not begun. */
export const losses = ['died', 'hung', 'not-loaded', 'refused'] as const;
export type Loss = (typeof losses)[number];

/** What a member tells the pool. */
export interface Listener {
  /** The worker has loaded its models, or done a batch: it is free. */
  free(): void;
  /** A batch is done, or failed; then comes `free`. */
  done(report: Extract<Report, { kind: 'done' | 'failed' }>): void;
  /** The worker does not come up, for this reason. */
  refused(error: Error): void;
  /** The worker has tried a Φ⁻¹. */
  tested(model: string, found: RoundTrip): void;
  /** The worker is gone with what it was doing; another takes its place. */
  lost(why: Loss): void;
}

/** Makes a member of a pool. */
export type Place = (to: Listener) => Member;

/** One place in the pool: a worker, and the one that takes its place when it dies or hangs. */
export interface Member {
  isFree(): boolean;
  /** Whether its worker has loaded every model and lives. */
  isUp(): boolean;
  run(batch: Batch, transfer: readonly ArrayBuffer[]): void;
  close(): Promise<void>;
  /** Workers that hung and never came back. */
  hung(): number;
}

/** Starts a worker thread. */
export type Spawn = (settings: WorkerSettings) => Worker;

export const spawnWorker: Spawn = (workerData) => new Worker(new URL('./worker.js', import.meta.url), { workerData });

interface Thread {
  readonly worker: Worker;
  /** Its thread has ended. */
  readonly left: Promise<void>;
  /** It has ended, or is given up. */
  readonly over: Deferred<void>;
  state: 'loading' | 'free' | 'busy' | 'gone';
}

/**
 * A place for worker threads.
 * @param seconds for a batch; a worker that takes longer counts as hung
 */
export function createMember(settings: WorkerSettings, seconds: number, spawn: Spawn, to: Listener): Member {
  let watchdog: NodeJS.Timeout | undefined;
  let again: NodeJS.Timeout | undefined;
  let failures = 0;
  let hung = 0;
  let closing = false;
  let thread: Thread;

  const watch = (from: Thread) => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => lose(from, 'hung'), seconds * 1000);
  };
  const receive = (from: Thread, report: Report) => {
    if (from.state === 'gone') return;
    if (report.kind === 'refused') {
      to.refused(new ExitError(report.reason, report.message));
      return lose(from, 'not-loaded');
    }
    // Φ⁻¹ is opened when it is first needed: that may take long.
    if (report.kind === 'opening') return clearTimeout(watchdog);
    if (report.kind === 'opened') return watch(from);
    if (report.kind === 'tested') return to.tested(report.model, report.found);
    clearTimeout(watchdog);
    failures = report.kind === 'ready' ? failures : 0;
    from.state = 'free';
    if (report.kind !== 'ready') to.done(report);
    to.free();
  };
  const lose = (from: Thread, why: Loss) => {
    if (from.state === 'gone') return;
    clearTimeout(watchdog);
    from.state = 'gone';
    from.over.resolve();
    if (why === 'hung') {
      hung++;
      from.left.then(() => hung--);
    }
    // Native code cannot be interrupted (ending the thread would end the process): if it ever returns, it finds this order.
    from.worker.postMessage(STOP satisfies Order);
    from.worker.unref();
    if (closing) return;
    again = setTimeout(() => {
      thread = start();
    }, pauseAfter(failures++));
    to.lost(why);
  };
  const start = (): Thread => {
    const worker = spawn(settings);
    const left = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const started: Thread = { worker, left, over: deferred(), state: 'loading' };
    worker.on('message', (report: Report) => receive(started, report));
    worker.on('error', (error: Error) => {
      if (started.state === 'loading') to.refused(error);
      lose(started, 'died');
    });
    worker.on('exit', () => {
      if (started.state === 'loading' && !closing) to.refused(new Error('a worker thread ended while it loaded'));
      lose(started, 'died');
    });
    return started;
  };

  thread = start();
  return {
    isFree: () => thread.state === 'free',
    isUp: () => thread.state === 'free' || thread.state === 'busy',
    run(batch, transfer) {
      thread.state = 'busy';
      watch(thread);
      thread.worker.postMessage(batch, transfer);
    },
    async close() {
      closing = true;
      clearTimeout(again);
      if (thread.state === 'gone') return;
      thread.worker.postMessage(STOP satisfies Order);
      await thread.over.promise;
      clearTimeout(watchdog);
    },
    hung: () => hung,
  };
}

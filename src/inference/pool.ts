import { Worker } from 'node:worker_threads';
import type { Tensor } from '../../export/tensor.js';
import { Problem } from '../errors.js';
import { type Batcher, createBatcher, type Limits, type Waiting } from './batcher.js';
import { deferred } from './deferred.js';
import {
  type Batch,
  type GraphName,
  type Order,
  type OutputName,
  type Outputs,
  type Report,
  STOP,
  type WorkerSettings,
} from './protocol.js';
import { owned, rows, stack } from './rows.js';

/** A request to run a graph on a batch of images, of any size from one. */
export interface Job<O extends OutputName> {
  readonly model: string;
  readonly graph: GraphName;
  /** Its buffer is given away where it is not shared: the caller must not read it again. */
  readonly input: Tensor;
  readonly outputs: readonly O[];
  /** Once aborted, what still waits is dropped; a batch that runs cannot be stopped. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a job and gives the outputs asked for, a row an image.
 * @throws Problem overloaded, when too much waits; the signal's reason, when it was aborted
 */
export type Run = <O extends OutputName>(job: Job<O>) => Promise<Pick<Outputs, O>>;

/** Worker threads behind one queue. */
export interface Pool {
  readonly run: Run;
  /** Resolves when every worker has loaded and tested every model; rejects with what a worker refused. */
  readonly ready: Promise<void>;
  isReady(): boolean;
  close(): Promise<void>;
}

export interface PoolSettings extends Limits, WorkerSettings {
  readonly workers: number;
}

interface Waiter extends Waiting {
  readonly job: Job<OutputName>;
  resolve(outputs: Outputs): void;
  reject(reason: unknown): void;
}

interface Member {
  thread: Worker;
  state: 'loading' | 'idle' | 'gone' | readonly Waiter[];
}

export function createPool(settings: PoolSettings): Pool {
  const batcher = createBatcher<Waiter>(settings);
  const members: Member[] = [];
  let closing = false;
  const started = deferred<void>();
  const isReady = () =>
    !closing && members.length > 0 && members.every(({ state }) => state !== 'loading' && state !== 'gone');

  const dispatch = () => {
    for (const member of members) {
      if (member.state !== 'idle') continue;
      const waiters = batcher.take();
      if (waiters.length === 0) return;
      member.state = waiters;
      post(member.thread, waiters);
    }
  };
  const receive = (member: Member, report: Report) => {
    const { state } = member;
    if (report.kind === 'refused') return started.reject(new Error(report.message));
    member.state = 'idle';
    if (report.kind === 'ready' && isReady()) started.resolve();
    if (typeof state !== 'string' && report.kind === 'done') settle(state, report.outputs);
    if (typeof state !== 'string' && report.kind === 'failed') rejectAll(state, reasonOf(report));
    dispatch();
  };
  const lose = (member: Member, error: Error) => {
    const { state } = member;
    if (state === 'gone') return;
    member.state = 'gone';
    if (closing) return;
    if (state === 'loading') return started.reject(error);
    if (state !== 'idle') rejectAll(state, error);
    start(member);
  };
  const start = (member: Partial<Member>) => {
    const thread = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: settings satisfies WorkerSettings,
    });
    const running = Object.assign(member, { thread, state: 'loading' as const }) as Member;
    thread.on('message', (report: Report) => receive(running, report));
    thread.on('error', (error: Error) => lose(running, error));
    thread.on(
      'exit',
      (code) => thread === running.thread && lose(running, new Error(`a worker thread stopped with code ${code}`)),
    );
    return running;
  };

  for (let i = 0; i < settings.workers; i++) members.push(start({}));
  started.promise.catch(() => undefined);
  return {
    ready: started.promise,
    isReady,
    run: (job) => enqueue(batcher, settings.maxBatch, job, dispatch),
    async close() {
      closing = true;
      const alive = members.filter(({ state }) => state !== 'gone');
      await Promise.all(alive.map(({ thread }) => ended(thread)));
    },
  };
}

const reasonOf = ({ message, untrusted }: Extract<Report, { kind: 'failed' }>): Error =>
  untrusted ? new Problem('inverse-untrusted', message) : new Error(message);

function ended(thread: Worker): Promise<void> {
  return new Promise((resolve) => {
    thread.once('exit', () => resolve());
    thread.postMessage(STOP satisfies Order);
  });
}

/** Splits a job into batches at most, lets them wait, and joins what they give. */
async function enqueue<O extends OutputName>(
  batcher: Batcher<Waiter>,
  maxBatch: number,
  job: Job<O>,
  dispatch: () => void,
): Promise<Pick<Outputs, O>> {
  job.signal?.throwIfAborted();
  const count = job.input.dims[0]!;
  const waiters: Waiter[] = [];
  const results: Promise<Outputs>[] = [];
  for (let from = 0; from < count; from += maxBatch) {
    const to = Math.min(from + maxBatch, count);
    const { promise, resolve, reject } = deferred<Outputs>();
    results.push(promise);
    waiters.push({
      lane: `${job.model}/${job.graph}`,
      images: to - from,
      job: { ...job, input: rows(job.input, from, to) },
      resolve,
      reject,
    });
  }
  if (!batcher.offer(waiters)) {
    throw new Problem(
      'overloaded',
      `${batcher.waiting()} images wait already and ${count} more do not fit in the queue`,
    );
  }
  const abort = () => {
    waiters.forEach(batcher.cancel);
    rejectAll(waiters, job.signal?.reason);
  };
  job.signal?.addEventListener('abort', abort, { once: true });
  dispatch();
  try {
    const parts = await Promise.all(results);
    return Object.fromEntries(job.outputs.map((name) => [name, stack(parts.map((p) => p[name]))])) as unknown as Pick<
      Outputs,
      O
    >;
  } finally {
    job.signal?.removeEventListener('abort', abort);
    waiters.forEach(batcher.cancel);
  }
}

function post(thread: Worker, waiters: readonly Waiter[]): void {
  const { model, graph } = waiters[0]!.job;
  const input = owned(stack(waiters.map(({ job }) => job.input)));
  const outputs = [...new Set(waiters.flatMap(({ job }) => job.outputs))];
  thread.postMessage({ model, graph, input, outputs } satisfies Batch, [input.data.buffer as ArrayBuffer]);
}

/** Gives each waiter its rows of a batch's outputs. */
function settle(waiters: readonly Waiter[], outputs: Partial<Outputs>): void {
  let from = 0;
  for (const { images, resolve } of waiters) {
    const to = from + images;
    const own = Object.entries(outputs).map(([name, tensor]) => [name, rows<Tensor>(tensor, from, to)]);
    resolve(Object.fromEntries(own) as Outputs);
    from = to;
  }
}

function rejectAll(waiters: readonly Waiter[], reason: unknown): void {
  for (const { reject } of waiters) reject(reason);
}

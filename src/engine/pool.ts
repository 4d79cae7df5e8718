import { joined } from '../../export/graph/rows.js';
import { deferred } from '../common/deferred.js';
import { Problem } from '../common/problems.js';
import { throwIfCancelled } from '../common/work.js';
import { createBatcher } from './batcher.js';
import type { Loss, Member, Place } from './member.js';
import { batchOf, type Job, settle, split, tell, type Waiter } from './parts.js';
import type { GraphName, OutputName, Outputs, Report, RoundTrip } from './protocol.js';

/**
 * Runs a job and gives the outputs asked for, a row an image.
 * @throws Problem worker-lost, when two workers were lost over it; the reason, when it was cancelled
 */
export type Run = <O extends OutputName>(job: Job<O>) => Promise<Pick<Outputs, O>>;

/** Who wants to know what the workers do. */
export interface Observer {
  batch?(batch: {
    readonly model: string;
    readonly graph: GraphName;
    readonly images: number;
    readonly ms: number;
  }): void;
  lost?(why: Loss): void;
  /**
   * A worker has tried whether Φ⁻¹ of a model gives back what went in.
   * @param alike whether its features have the bits of the first worker's; else what one encodes and another decodes need not
   */
  tested?(model: string, found: RoundTrip, alike: boolean): void;
  /** A server that runs graphs is used from now on, or left alone, for this reason. */
  server?(url: string, up: boolean, why?: string): void;
}

/** Workers behind one queue. */
export interface Pool {
  readonly run: Run;
  /** Resolves when as many workers as are needed have loaded and tested every model; rejects with what one refused. */
  readonly ready: Promise<void>;
  status(): Status;
  close(): Promise<void>;
}

export interface Status {
  /** Whether as many workers as are needed have once been up. */
  readonly started: boolean;
  /** Workers that can run something, of so many. */
  readonly up: number;
  readonly workers: number;
  /** Images in the queue. */
  readonly waiting: number;
  /** Workers that hung and were given up; their threads remain until the process ends. */
  readonly hung: number;
}

export interface PoolSettings {
  /** Where batches are run; one batch at a time at each. */
  readonly places: readonly Place[];
  /** How many of them must come up before any request is taken. */
  readonly needed: number;
  /** Images in a batch, by model. */
  readonly limits: ReadonlyMap<string, number>;
  /** Whether whoever is free leaves the others their share of what waits. */
  readonly divisible: boolean;
  /** Milliseconds that a batch which is not full waits for more. */
  readonly maxDelay: number;
}

export function createPool(settings: PoolSettings, observer: Observer = {}): Pool {
  const batcher = createBatcher<Waiter>(settings.maxDelay);
  const running = new Map<Member, readonly Waiter[]>();
  const ready = deferred<void>();
  const features = new Map<string, string>();
  let started = false;
  let closing = false;
  let timer: NodeJS.Timeout | undefined;

  // A share for each, and one for what is being prepared: so batches are of a size, and none waits for what another holds.
  const share = (): number => {
    if (!settings.divisible || settings.maxDelay > 0) return Number.POSITIVE_INFINITY;
    const busy = [...running.values()].flat().reduce((sum, { images }) => sum + images, 0);
    return Math.ceil((batcher.waiting() + busy) / (members.length + 1));
  };
  const dispatch = () => {
    clearTimeout(timer);
    for (const member of members) {
      if (!member.isFree()) continue;
      const waiters = batcher.take(performance.now(), share());
      if (waiters.length === 0) break;
      running.set(member, waiters);
      const batch = batchOf(waiters);
      member.run(batch, [batch.input.data.buffer as ArrayBuffer]);
    }
    const due = batcher.due();
    if (due !== undefined && members.some((member) => member.isFree())) {
      timer = setTimeout(dispatch, Math.max(0, due - performance.now()));
    }
  };
  const taken = (member: Member): readonly Waiter[] => {
    const waiters = running.get(member) ?? [];
    running.set(member, []);
    return waiters;
  };
  const retry = (waiters: readonly Waiter[], why: Loss) => {
    for (const waiter of waiters) {
      if (waiter.over) continue;
      // It was not begun.
      if (why === 'refused') {
        batcher.putBack([waiter]);
        continue;
      }
      if (waiter.retried) {
        waiter.reject(
          new Problem('worker-lost', 'two workers, or servers behind this one, were lost over this request'),
        );
        continue;
      }
      waiter.retried = true;
      // Alone in its lane: whatever ends a worker does so without others.
      waiter.lane = `${waiter.lane} again ${lanes++}`;
      batcher.putBack([waiter]);
    }
  };
  let lanes = 0;

  const isUp = (member: Member) => member.isUp();
  const members: Member[] = settings.places.map((place) => {
    const member: Member = place({
      free() {
        if (!started && members.filter(isUp).length >= settings.needed) {
          started = true;
          ready.resolve();
        }
        dispatch();
      },
      done(report) {
        const waiters = taken(member);
        const { model, graph } = waiters[0]!.job;
        const images = waiters.reduce((sum, w) => sum + w.images, 0);
        observer.batch?.({ model, graph, images, ms: performance.now() - waiters[0]!.begun });
        if (report.kind === 'done') settle(waiters, report.outputs);
        else for (const { reject } of waiters) reject(reasonOf(report));
      },
      refused: (error) => ready.reject(error),
      tested(model, found) {
        const first = features.get(model) ?? found.features;
        features.set(model, first);
        observer.tested?.(model, found, first === found.features);
      },
      lost(why) {
        observer.lost?.(why);
        retry(taken(member), why);
        dispatch();
      },
    });
    return member;
  });
  ready.promise.catch(() => undefined);

  const enqueue = async <O extends OutputName>(job: Job<O>): Promise<Pick<Outputs, O>> => {
    throwIfCancelled(job.work);
    const { waiters, results } = split(job, settings.limits.get(job.model)!, members.length);
    const forget = job.work?.cancellation?.onCancel((reason) => {
      for (const waiter of waiters) {
        batcher.cancel(waiter);
        waiter.reject(reason);
      }
    });
    batcher.add(waiters);
    dispatch();
    try {
      const parts = await Promise.all(results);
      const outputs = job.outputs.map((name) => [name, joined(parts.map((p) => p[name]))]);
      return Object.fromEntries(outputs) as unknown as Pick<Outputs, O>;
    } finally {
      forget?.();
      waiters.forEach(batcher.cancel);
      tell(job.work, waiters);
      for (const waiter of waiters) waiter.over = true;
    }
  };
  return {
    ready: ready.promise,
    run: enqueue,
    status: () => ({
      started: started && !closing,
      up: members.filter(isUp).length,
      workers: members.length,
      waiting: batcher.waiting(),
      hung: members.reduce((sum, member) => sum + member.hung(), 0),
    }),
    async close() {
      closing = true;
      clearTimeout(timer);
      await Promise.all(members.map((member) => member.close()));
    },
  };
}

const reasonOf = ({ message, untrusted }: Extract<Report, { kind: 'failed' }>): Error =>
  untrusted ? new Problem('inverse-untrusted', message) : new Error(message);

/** The parts of an answer whose time is told apart, in their order. */
export const stages = ['read', 'decode', 'queue', 'inference', 'encode'] as const;
export type Stage = (typeof stages)[number];

/** One part, by `performance.now()`. */
export interface Span {
  readonly stage: Stage;
  readonly start: number;
  readonly end: number;
}

/** Where the time of a request went; a stage may come several times. */
export class Timeline {
  readonly spans: Span[] = [];

  add(span: Span): void {
    this.spans.push(span);
  }

  /** Runs something as part of a stage, also when it fails. */
  async time<T>(stage: Stage, run: () => T | Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await run();
    } finally {
      this.add({ stage, start, end: performance.now() });
    }
  }
}

/**
 * Says when nobody waits for some work any more. An AbortSignal would do; but each of them leaves 0.7 KB in memory until the
 * next full collection of garbage (Node.js 20 makes a hidden class for every one), and there is one a request.
 */
export interface Cancellation {
  /** Why nobody waits; undefined while somebody does. */
  readonly reason: Error | undefined;
  /** Has a function called when nobody waits any more, or never where that is so already; gives what forgets it. */
  onCancel(listener: (reason: Error) => void): () => void;
}

/** A cancellation, and what brings it about. */
export class Canceller implements Cancellation {
  reason: Error | undefined;
  readonly #listeners = new Set<(reason: Error) => void>();

  onCancel(listener: (reason: Error) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Only the first reason counts. */
  cancel(reason: Error): void {
    if (this.reason) return;
    this.reason = reason;
    for (const listener of this.#listeners) listener(reason);
    this.#listeners.clear();
  }
}

/** @throws the reason why nobody waits for some work any more */
export function throwIfCancelled(work: Work | undefined): void {
  if (work?.cancellation?.reason) throw work.cancellation.reason;
}

/** What an operation is done for: none of it is needed, as on the command line. */
export interface Work {
  readonly cancellation?: Cancellation | undefined;
  readonly timeline?: Timeline | undefined;
  /** Called once it is known how many images the work takes. @throws Problem overloaded, not-ready */
  admit?(images: number): void;
}

/** The rest of some work whose images are all admitted. */
export const admitted = (work: Work | undefined): Work => ({
  cancellation: work?.cancellation,
  timeline: work?.timeline,
});

/** Runs a stage of some work, of which nothing need be known. */
export const timed = async <T>(work: Work | undefined, stage: Stage, run: () => T | Promise<T>): Promise<T> =>
  work?.timeline ? work.timeline.time(stage, run) : run();

/** Milliseconds of each stage that there was. */
export function durations({ spans }: Timeline): Partial<Record<Stage, number>> {
  const sums: Partial<Record<Stage, number>> = {};
  for (const { stage, start, end } of spans) sums[stage] = (sums[stage] ?? 0) + end - start;
  return sums;
}

/** The parts of a request whose times are reported separately, in their order. */
export const stages = ['read', 'decode', 'queue', 'inference', 'encode'] as const;
export type Stage = (typeof stages)[number];

/** When a stage began and ended, by `performance.now()`. */
export interface Span {
  readonly stage: Stage;
  readonly start: number;
  readonly end: number;
}

/** Where the time of a request went; a stage may occur several times. */
export class Timeline {
  readonly spans: Span[] = [];

  add(span: Span): void {
    this.spans.push(span);
  }

  /** Runs a function as part of a stage. Its time is recorded when it fails, too. */
  async time<T>(stage: Stage, run: () => T | Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await run();
    } finally {
      this.add({ stage, start, end: performance.now() });
    }
  }
}

/** The context of an operation. The service sets all of it for each request; the command line needs none. */
export interface Work {
  /** Aborted when no client waits for the result any more: the client has gone, or its deadline has passed. */
  readonly signal?: AbortSignal | undefined;
  readonly timeline?: Timeline | undefined;
  /** Called once it is known how many images the operation processes. @throws Problem overloaded */
  admit?(images: number): void;
  /** Has something released when the operation is over, whatever its end. */
  finally?(release: () => void): void;
}

/** The context of a step whose images were admitted by the caller. */
export const admitted = (work: Work | undefined): Work => ({
  signal: work?.signal,
  timeline: work?.timeline,
  finally: (release) => work?.finally?.(release),
});

/** Runs a function as part of a stage, which is recorded if there is a timeline. */
export const timed = async <T>(work: Work | undefined, stage: Stage, run: () => T | Promise<T>): Promise<T> =>
  work?.timeline ? work.timeline.time(stage, run) : run();

/** Total milliseconds of each stage that occurred. */
export function durations({ spans }: Timeline): Partial<Record<Stage, number>> {
  const sums: Partial<Record<Stage, number>> = {};
  for (const { stage, start, end } of spans) sums[stage] = (sums[stage] ?? 0) + end - start;
  return sums;
}

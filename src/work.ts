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
export interface Timeline {
  readonly spans: readonly Span[];
  add(span: Span): void;
  /** Runs something as part of a stage, also when it fails. */
  time<T>(stage: Stage, run: () => T | Promise<T>): Promise<T>;
}

/** What an operation is done for: none of it is needed, as on the command line. */
export interface Work {
  /** Once aborted, nobody waits for the result. */
  readonly signal?: AbortSignal | undefined;
  readonly timeline?: Timeline | undefined;
  /** Called once it is known how many images the work takes. @throws Problem overloaded, not-ready */
  admit?(images: number): void;
}

/** The rest of some work whose images are all admitted. */
export const admitted = (work: Work | undefined): Work => ({ signal: work?.signal, timeline: work?.timeline });

/** Runs a stage of some work, of which nothing need be known. */
export const timed = async <T>(work: Work | undefined, stage: Stage, run: () => T | Promise<T>): Promise<T> =>
  work?.timeline ? work.timeline.time(stage, run) : run();

export function createTimeline(): Timeline {
  const spans: Span[] = [];
  return {
    spans,
    add: (span) => spans.push(span),
    async time(stage, run) {
      const start = performance.now();
      try {
        return await run();
      } finally {
        spans.push({ stage, start, end: performance.now() });
      }
    },
  };
}

/** Milliseconds of each stage that there was. */
export function durations({ spans }: Timeline): Partial<Record<Stage, number>> {
  const sums: Partial<Record<Stage, number>> = {};
  for (const { stage, start, end } of spans) sums[stage] = (sums[stage] ?? 0) + end - start;
  return sums;
}

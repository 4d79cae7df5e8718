/** The value below which a share of the sorted values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
export const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Milliseconds that a task takes. */
export async function timed(task: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await task();
  return performance.now() - start;
}

/** To three significant digits, so that lines can be read. */
export const rounded = (value: number): number => Number(value.toPrecision(3));

/** Every number of an object to three significant digits. */
export const readable = <K extends string>(figures: Readonly<Record<K, number>>): Record<K, number> =>
  Object.fromEntries(Object.entries<number>(figures).map(([name, value]) => [name, rounded(value)])) as Record<
    K,
    number
  >;

/** Milliseconds below which latencies lie. */
export const latency = (ms: readonly number[]) =>
  readable({ p50Ms: quantile(ms, 0.5), p95Ms: quantile(ms, 0.95), p99Ms: quantile(ms, 0.99), maxMs: quantile(ms, 1) });

export interface Trend {
  /** By least squares. */
  readonly slope: number;
  readonly standardError: number;
  /** Between which the slope lies. */
  readonly from: number;
  readonly to: number;
}

/** Slow waves that a slope is held against, and the 97.5% quantile of Student's t with as many degrees of freedom. */
const WAVES = { count: 4, t: 2.776 };

/**
 * The slope of points that follow each other evenly, with its 95% interval. What is measured swings for minutes, and an
 * interval for independent points would call such a swing a trend: so the slope is held against the slowest waves that the
 * points have beside their line (Müller and Watson, "Low-Frequency Econometrics", 2017). The interval holds the slope in 95 of
 * 100 cases where points are independent, and in about 90 where swings last a tenth of the time.
 */
export function trend(x: readonly number[], y: readonly number[]): Trend {
  const wave = (halves: number) => x.map((_, i) => Math.cos((Math.PI * halves * (i + 0.5)) / x.length));
  // The wave of one half is nearly the line itself.
  const waves = Array.from({ length: WAVES.count }, (_, i) => wave(i + 2));
  const [, line, ...slow] = orthogonal([x.map(() => 1), [...x], ...waves]) as [number[], number[], ...number[][]];
  const share = (of: readonly number[]) => dot(of, y) / Math.sqrt(dot(of, of));
  const spread = Math.sqrt(dot(line, line));
  const slope = share(line) / spread;
  const standardError = Math.sqrt(mean(slow.map((of) => share(of) ** 2))) / spread;
  const margin = WAVES.t * standardError;
  return { slope, standardError, from: slope - margin, to: slope + margin };
}

/** Every vector less what of it lies along those before (Gram and Schmidt). */
function orthogonal(vectors: readonly (readonly number[])[]): number[][] {
  const done: number[][] = [];
  for (const vector of vectors) {
    done.push(
      done.reduce<number[]>(
        (rest, before) => {
          const along = dot(before, rest) / dot(before, before);
          return rest.map((v, i) => v - along * before[i]!);
        },
        [...vector],
      ),
    );
  }
  return done;
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);

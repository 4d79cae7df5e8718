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

export interface Line {
  readonly slope: number;
  readonly intercept: number;
  /** Of the slope. */
  readonly standardError: number;
}

/** The line through points by least squares. */
export function leastSquares(x: readonly number[], y: readonly number[]): Line {
  const [mx, my] = [mean(x), mean(y)];
  const sxx = x.reduce((sum, v) => sum + (v - mx) ** 2, 0);
  const slope = x.reduce((sum, v, i) => sum + (v - mx) * (y[i]! - my), 0) / sxx;
  const intercept = my - slope * mx;
  const squares = x.reduce((sum, v, i) => sum + (y[i]! - intercept - slope * v) ** 2, 0);
  return { slope, intercept, standardError: Math.sqrt(squares / (x.length - 2) / sxx) };
}

/** Blocks of neighbouring points, and the 97.5% quantile of Student's t with two degrees of freedom fewer. */
const BLOCKS = { count: 10, t: 2.306 };

/**
 * The slope of points in the order of x, with an interval that holds it in 95 of 100 cases. Neighbouring points are alike
 * where memory is measured, which would make the interval of single points too narrow: it is that of the means of blocks.
 */
export function trend(
  x: readonly number[],
  y: readonly number[],
): Line & { readonly from: number; readonly to: number } {
  const means = (values: readonly number[]) =>
    Array.from({ length: BLOCKS.count }, (_, i) => {
      const [from, to] = [i, i + 1].map((at) => Math.floor((at * values.length) / BLOCKS.count));
      return mean(values.slice(from, to));
    });
  const line = { ...leastSquares(x, y), standardError: leastSquares(means(x), means(y)).standardError };
  const margin = BLOCKS.t * line.standardError;
  return { ...line, from: line.slope - margin, to: line.slope + margin };
}

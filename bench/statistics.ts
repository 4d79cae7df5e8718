/** The smallest value that is not exceeded by this share of the values. */
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

/** A number to three significant digits. */
export const rounded = (value: number): number => Number(value.toPrecision(3));

/** Every number of an object to three significant digits. */
export const readable = <K extends string>(figures: Readonly<Record<K, number>>): Record<K, number> =>
  Object.fromEntries(Object.entries<number>(figures).map(([name, value]) => [name, rounded(value)])) as Record<
    K,
    number
  >;

import type { Share, Spread } from '../analysis/statistics.js';
import type { Finding } from './chapter.js';

/** Numbers as a report shows them. */
export const percent = (share: number): string => `${(100 * share).toFixed(share === 0 || share === 1 ? 0 : 1)}%`;

/** Three digits, as a decimal number where that is short. */
export function figures(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1).replace('e+', 'e').replace('-', '−');
  return (size >= 100 ? value.toFixed(0) : value.toPrecision(3)).replace('-', '−');
}

export const range = ([low, high]: readonly [number, number], word: (n: number) => string = figures): string =>
  `${word(low)} to ${word(high)}`;

/** A share with its interval, as columns of a row. */
export const shared = ({
  share,
  interval,
}: Pick<Share, 'share' | 'interval'>): Pick<Finding, 'value' | 'interval'> => ({
  value: percent(share),
  interval: range(interval as [number, number], percent),
});

/** A median with its interval, as columns of a row. */
export const middle = ({ median, interval }: Spread): Pick<Finding, 'value' | 'interval'> => ({
  value: figures(median),
  interval: range(interval as [number, number]),
});

/** Whether an interval lies above another one: they have no point in common. */
export const above = (one: readonly number[], other: readonly number[]): boolean => one[0]! > other[1]!;

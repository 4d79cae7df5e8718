/** Of the normal distribution: 95% lie within so many standard deviations. */
const Z = 1.959964;

/**
 * The 95% interval of a share after `correct` of `count` tries, by Wilson's score (1927). It stays within [0, 1] and holds
 * for shares near 0 and 1 too.
 */
export function wilson(correct: number, count: number): [low: number, high: number] {
  const share = correct / count;
  const square = Z ** 2 / count;
  const centre = (share + square / 2) / (1 + square);
  const half = (Z * Math.sqrt((share * (1 - share)) / count + square / (4 * count))) / (1 + square);
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}

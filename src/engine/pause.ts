/** Milliseconds before something is tried again: after the first failure, and at most. */
const FIRST = 100;
const LONGEST = 30_000;

/** Milliseconds to wait after so many failures in a row; twice as long after each. */
export const pauseAfter = (failures: number, longest = LONGEST): number =>
  failures === 0 ? 0 : Math.min(longest, FIRST * 2 ** (failures - 1));

/** Each call returns the next number, in [0, 1). */
export type Random = () => number;

/**
 * A generator (mulberry32) that is seeded by several numbers, such as a run's seed and the number of a step. Each training
 * step has a generator of its own, so that a resumed run draws the same numbers as one that never stopped.
 */
export function seeded(...numbers: readonly number[]): Random {
  let state = numbers.reduce((hash, n) => mix(hash ^ mix(n >>> 0)), 0x9e3779b9);
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    return mix(state) / 2 ** 32;
  };
}

function mix(n: number): number {
  let t = Math.imul(n ^ (n >>> 15), n | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return (t ^ (t >>> 14)) >>> 0;
}

/** 0 … count − 1 in random order (Fisher and Yates). */
export function permutation(count: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

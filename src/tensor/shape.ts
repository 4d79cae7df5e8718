import { sizeOf } from '../../export/graph/tensor.js';
import { Problem } from '../common/problems.js';

/** Axes that an array may have: more than any features have, and few enough to be told of in an error. */
const MAX_AXES = 8;

/**
 * Checks sizes that a file claims, before anything is computed from them.
 * @param sizes whole numbers, none negative
 * @throws Problem features-rank, features-length
 */
export function checkShape(sizes: readonly number[]): void {
  if (sizes.length > MAX_AXES) {
    throw new Problem('features-rank', `the array has ${sizes.length} axes; at most ${MAX_AXES} are read`);
  }
  // Of a shape such as [0, 10¹⁶] the product is safe, but not its sizes.
  if (![...sizes, sizeOf(sizes)].every(Number.isSafeInteger)) {
    throw new Problem('features-length', `shape [${sizes}] takes more numbers than there are bytes`);
  }
}

import { sizeOf } from '../graph/tensor.js';
import { FormatError } from './errors.js';

/** Most axes of an array that is read: more than features have, and few enough to be printed in an error. */
const MAX_AXES = 8;

/** Whether a value is a list of whole numbers that are not negative. */
export const isShape = (v: unknown): v is number[] =>
  Array.isArray(v) && v.every((n) => Number.isSafeInteger(n) && n >= 0);

/**
 * Checks the shape that a file claims, before anything is allocated for it.
 * @param shape numbers, none negative
 * @throws FormatError rank, length
 */
export function checkShape(shape: readonly number[]): void {
  if (shape.length > MAX_AXES) {
    throw new FormatError('rank', `the array has ${shape.length} axes; at most ${MAX_AXES} are read`);
  }
  // [0, 10¹⁶] has a safe product but an unsafe size.
  if (![...shape, sizeOf(shape)].every(Number.isSafeInteger)) {
    throw new FormatError('length', `shape [${shape}] takes more numbers than there are bytes`);
  }
}

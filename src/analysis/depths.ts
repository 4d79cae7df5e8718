import { Type } from 'typebox';
import type { Network } from '../../export/networks/network.js';
import { AnalysisError } from './errors.js';

/** Depths that are looked at when none are named. */
const MOST = 16;

/** The option that names depths: numbers of blocks. */
export const depths = Type.Array(Type.Integer({ minimum: 0 }), {
  default: [],
  description: `numbers of blocks, 0 being the state before the first; none named: all, or ${MOST} evenly spread`,
});

/**
 * The depths that are asked for, or `first` to the last block.
 * @throws AnalysisError when there are no such blocks
 */
export function depthsOf(
  { blocks: { length } }: Pick<Network, 'blocks'>,
  wanted: readonly number[],
  first: 0 | 1,
): number[] {
  const wrong = wanted.find((depth) => depth < first || depth > length);
  if (wrong !== undefined)
    throw new AnalysisError(
      'option-invalid',
      `depths names ${wrong}; expected ${first} to ${length}, the number of blocks`,
    );
  if (wanted.length > 0) return [...new Set(wanted)].sort((a, b) => a - b);
  const count = Math.min(length, MOST);
  const spread = Array.from({ length: count }, (_, i) => Math.round(((i + 1) * length) / count));
  return first === 0 ? [0, ...spread] : spread;
}

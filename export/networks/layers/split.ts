import type { Value } from '../../graph/graph.js';
import { concat, pad, slice, split } from '../../graph/ops/movement.js';
import { staticShape } from '../../graph/shape.js';
import { type Invertible, type Pair, within } from './invertible.js';

/** S̃ cuts `channels` channels into two streams, the first ⌊channels / 2⌋ wide; M̃ merges them again. */
export const halves = (channels: number): Invertible<Value, Pair> => ({
  forward: (x) => split(x, 1, [Math.floor(channels / 2), Math.ceil(channels / 2)]) as [Value, Value],
  inverse: (pair) => concat(pair, 1),
});

/** Zero channels behind the last; the inverse drops them. */
const zeroChannels = (extra: number): Invertible<Value> => ({
  forward: (x) => pad(x, [0, 0, 0, 0], [0, extra, 0, 0]),
  inverse: (y) => slice(y, 1, 0, staticShape([y.type.shape[1]!])[0]! - extra),
});

const merge: Invertible<Pair, Value> = {
  forward: (pair) => concat(pair, 1),
  inverse: (x) => halves(staticShape([x.type.shape[1]!])[0]!).forward(x),
};

/**
 * Injective padding: the merged streams get zero channels and are cut in halves again.
 * @param extra channels to add to both streams together
 */
export const injectivePadding = (extra: number): Invertible<Pair> => within(merge, zeroChannels(extra));

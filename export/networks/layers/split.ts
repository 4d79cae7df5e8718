import type { Value } from '../../graph/graph.js';
import { concat, pad, slice, split } from '../../graph/ops/movement.js';
import { staticShape } from '../../graph/shape.js';
import type { Invertible, Pair } from './invertible.js';

/** S̃ cuts `channels` channels into two streams, the first ⌊channels / 2⌋ wide; M̃ merges them again. */
export const halves = (channels: number): Invertible<Value, Pair> => ({
  forward: (x) => split(x, 1, [Math.floor(channels / 2), Math.ceil(channels / 2)]) as [Value, Value],
  inverse: (pair) => concat(pair, 1),
});

/** The same for as many channels as the value has. */
const cut = (x: Value): Pair => halves(channelsOf(x)).forward(x);

const channelsOf = (x: Value): number => staticShape([x.type.shape[1]!])[0]!;

/**
 * Injective padding: the merged streams get zero channels behind the last and are cut in halves again. The inverse drops
 * them.
 * @param extra channels to add to both streams together
 */
export const injectivePadding = (extra: number): Invertible<Pair> => ({
  forward: (pair) => cut(pad(concat(pair, 1), [0, 0, 0, 0], [0, extra, 0, 0])),
  inverse: (pair) => {
    const merged = concat(pair, 1);
    return cut(slice(merged, 1, 0, channelsOf(merged) - extra));
  },
});

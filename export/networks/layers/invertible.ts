import type { Value } from '../../graph/graph.js';

/** A function on values. It has an inverse unless it throws something away: then `inverse(forward(a))` is `a`. */
export interface Layer<A, B = A> {
  forward(a: A): B;
  inverse?(b: B): A;
}

/** A layer that has an inverse. */
export interface Invertible<A, B = A> extends Layer<A, B> {
  inverse(b: B): A;
}

/** The two streams of a reversible network. */
export type Pair = readonly [Value, Value];

export const identity: Invertible<Value> = { forward: (x) => x, inverse: (y) => y };

/** One layer after another. */
export const compose = <A, B, C>(first: Invertible<A, B>, second: Invertible<B, C>): Invertible<A, C> => ({
  forward: (a) => second.forward(first.forward(a)),
  inverse: (c) => first.inverse(second.inverse(c)),
});

/** The inverse as a layer. */
export const opposite = <A, B>({ forward, inverse }: Invertible<A, B>): Invertible<B, A> => ({
  forward: inverse,
  inverse: forward,
});

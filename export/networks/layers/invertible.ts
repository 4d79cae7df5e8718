import type { Value } from '../../graph/graph.js';

/** A layer and its inverse: `inverse(forward(a))` is `a`. */
export interface Invertible<A, B = A> {
  forward(a: A): B;
  inverse(b: B): A;
}

/** The two streams of an i-RevNet. */
export type Pair = readonly [Value, Value];

export const isPair = (streams: readonly Value[]): streams is Pair => streams.length === 2;

/** Layers one after another; the inverse runs the inverses backwards. */
export const chain = <A>(layers: readonly Invertible<A>[]): Invertible<A> => ({
  forward: (a) => layers.reduce((x, layer) => layer.forward(x), a),
  inverse: (b) => layers.reduceRight((x, layer) => layer.inverse(x), b),
});

/** The same layer on both streams. */
export const both = (layer: Invertible<Value>): Invertible<Pair> => ({
  forward: ([x1, x2]) => [layer.forward(x1), layer.forward(x2)],
  inverse: ([y1, y2]) => [layer.inverse(y1), layer.inverse(y2)],
});

/** A layer seen through another: outside⁻¹ ∘ layer ∘ outside. */
export const within = <A, B>(outside: Invertible<A, B>, layer: Invertible<B>): Invertible<A> => ({
  forward: (a) => outside.inverse(layer.forward(outside.forward(a))),
  inverse: (b) => outside.inverse(layer.inverse(outside.forward(b))),
});

export const identity: Invertible<Value> = { forward: (x) => x, inverse: (y) => y };

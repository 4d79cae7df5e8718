import type { Value } from '../graph/graph.js';
import type { Invertible, Pair } from './layers/invertible.js';
import type { PixelSpec } from './layers/pixels.js';

/** What flows between two blocks: both streams of a reversible network, the one stream of another. */
export type State = readonly Value[];

/** Φ on a batch of inputs x. */
export interface Encoded {
  /** Φ(x), float32 [N, C', H', W']. */
  readonly features: Value;
  /** Class scores, float32 [N, classes]. */
  readonly logits: Value;
  /** The state before the first block and after every block. */
  readonly states: readonly State[];
}

/** A network as the rest of the code sees it: it can be applied to values, forwards and, if it is invertible, backwards. */
export interface Network {
  readonly input: PixelSpec;
  readonly classes: number;
  /** [C', H', W'] of the features. */
  readonly features: readonly [number, number, number];
  readonly grid: number | null;
  /** 8-bit pixels, uint8 [N, H, W, C] ↔ the network's input x: normalised, padded, on the grid. */
  readonly pixels: Invertible<Value>;
  /** x, float32 [N, C, H, W] with padding → Φ(x) and what is read from it. */
  encode(x: Value): Encoded;
  /** Φ⁻¹: features → x; undefined where the network throws something away. */
  readonly decode: ((features: Value) => Value) | undefined;
  /** The blocks that can be inverted, by their number: block i maps `states[i]` to `states[i + 1]`. */
  readonly reversible: ReadonlyMap<number, Invertible<Pair>>;
}

/** A configuration that cannot be built; the message says which constraint fails and what would satisfy it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

import type { Value } from '../graph.js';
import type { Pair } from '../layers/invertible.js';
import type { PixelSpec } from '../layers/pixels.js';

/** Φ on a batch of 8-bit pixels, uint8 [N, H, W, C]. */
export interface Encoded {
  /** The network's input: normalised pixels, float32 [N, C, H, W]. */
  readonly image: Value;
  /** Φ(x), float32 [N, C', H', W']. */
  readonly features: Value;
  /** Class scores, float32 [N, classes]. */
  readonly logits: Value;
  /** The two streams before the first block and after every block. */
  readonly states: readonly Pair[];
}

/** Φ⁻¹ on a batch of features. */
export interface Decoded {
  /** The recovered network input, float32 [N, C, H, W]. */
  readonly image: Value;
  /** The same as 8-bit pixels, uint8 [N, H, W, C]. */
  readonly pixels: Value;
}

/** A network as the rest of the code sees it: it can be applied to values, forwards and backwards. */
export interface Network {
  readonly input: PixelSpec;
  readonly classes: number;
  /** [C', H', W'] of the features. */
  readonly features: readonly [number, number, number];
  readonly grid: number | null;
  forward(pixels: Value): Encoded;
  inverse(features: Value): Decoded;
}

/** A configuration that cannot be built; the message says which constraint fails and what would satisfy it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

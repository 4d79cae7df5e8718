import type { Value } from '../graph/graph.js';
import type { Block, State } from './layers/block.js';
import type { Invertible, Layer } from './layers/invertible.js';
import type { PixelSpec } from './layers/pixels.js';

export type { Block, Part, State } from './layers/block.js';

/**
 * A network is a list that is walked in either direction: x → stem → blocks → merge = features, and back by the inverses
 * of the same layers.
 */
export interface Network {
  readonly input: PixelSpec;
  readonly classes: number;
  /** [C', H', W'] of the features. */
  readonly features: readonly [number, number, number];
  /** k of the fixed-point grid on which the streams lie; null: plain floats. */
  readonly grid: number | null;
  /** 8-bit pixels, uint8 [N, H, W, C] ↔ the network's input x: normalised, padded, on the grid. */
  readonly pixels: Invertible<Value>;
  /** x, float32 [N, C, H, W] with padding → the state before the first block. */
  readonly stem: Layer<Value, State>;
  readonly blocks: readonly Block[];
  /** The state after the last block → features, float32 [N, C', H', W']. */
  readonly merge: Layer<State, Value>;
  /** The head: features → class scores, float32 [N, classes]. */
  classify(features: Value): Value;
}

/** Φ on a batch of inputs x. */
export interface Encoded {
  /** Φ(x), float32 [N, C', H', W']. */
  readonly features: Value;
  /** Class scores, float32 [N, classes]. */
  readonly logits: Value;
  /** The state before the first block and after every block. */
  readonly states: readonly State[];
}

/** Applies Φ to x, float32 [N, C, H, W] with padding. */
export function encode({ stem, blocks, merge, classify }: Network, x: Value): Encoded {
  const states = [stem.forward(x)];
  for (const block of blocks) states.push(block.forward(states.at(-1)!));
  const features = merge.forward(states.at(-1)!);
  return { features, logits: classify(features), states };
}

/** Whether nothing is thrown away between x and the features. */
export const isInvertible = ({ stem, blocks, merge }: Network): boolean =>
  [stem, ...blocks, merge].every(({ inverse }) => inverse !== undefined);

/**
 * Applies Φ⁻¹ to features, float32 [N, C', H', W'].
 * @returns x, float32 [N, C, H, W] with padding
 * @throws ConfigError where the network is not invertible
 */
export function decode(network: Network, features: Value): Value {
  if (!isInvertible(network)) throw new ConfigError('the network throws information away, so it has no inverse');
  const { stem, blocks, merge } = network;
  return stem.inverse!(blocks.reduceRight((state, block) => block.inverse!(state), merge.inverse!(features)));
}

/** A configuration that cannot be built. The message says which constraint fails and what would satisfy it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

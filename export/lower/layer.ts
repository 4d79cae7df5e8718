import type { Value } from '../graph/graph.js';

/** Dimensions of images. */
export type Four = readonly [n: number, c: number, h: number, w: number];

export interface Geometry {
  readonly stride: number;
  readonly padding: number;
}

/** A convolution whose input lies in the layout [H·W, C, N], the batch innermost. */
export interface Layer extends Geometry {
  /** [H·W, C, N] */
  readonly x: Value;
  /** Dimensions of the input, and of the output. */
  readonly from: Four;
  readonly to: Four;
  readonly kernel: number;
}

/** Weights in the layout that a lowered graph wants: the parameter with its axes permuted. */
export type StoredWeights = (w: Value, perm: readonly number[]) => Value;

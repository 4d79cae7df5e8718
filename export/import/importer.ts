import type { Specification } from '../networks/index.js';
import type { Checkpoint } from './checkpoint.js';

/** What can be said about a network on top of its weights, which do not tell it. */
export interface Given {
  /** Height and width of the input. */
  readonly input?: readonly [number, number] | undefined;
  /** Channels of the image. */
  readonly channels?: 1 | 3 | undefined;
  /** Block size of the initial ψ; 1: none. */
  readonly initialPsi?: number | undefined;
  /** Per channel, of pixels in [0, 1]. */
  readonly mean?: readonly number[] | undefined;
  readonly std?: readonly number[] | undefined;
  /** k of the fixed-point grid; null: plain floats. */
  readonly grid?: number | null | undefined;
}

/** What the weights tell of their network. */
export interface Inferred {
  readonly specification: Specification;
  /** What was taken without knowing, and the flag that says otherwise; to be shown. */
  readonly assumptions: readonly string[];
}

/** One family of checkpoints: how its weights are recognised, what they tell, and what they are called. */
export interface Importer {
  readonly description: string;
  /** Whether these names are of the family. */
  recognises(names: ReadonlySet<string>): boolean;
  /** @throws CheckpointFileError when too much is missing to tell */
  infer(checkpoint: Checkpoint, given: Given): Inferred;
  /** The checkpoint's name of each parameter of the network. */
  names(checkpoint: Checkpoint): (parameter: string) => string;
}

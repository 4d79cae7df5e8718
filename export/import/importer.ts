import type { Specification } from '../networks/index.js';
import type { Checkpoint } from './checkpoint.js';

/** Properties of a network that its weights do not determine, as the user gives them. */
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

/** The network that was inferred from weights. */
export interface Inferred {
  readonly specification: Specification;
  /** Sentences for the user: what was assumed, and the flag that changes it. */
  readonly assumptions: readonly string[];
}

/** One family of checkpoints: how it is recognised, how its network is inferred, and how its tensors are named. */
export interface Importer {
  readonly description: string;
  /** Whether a checkpoint with these tensor names belongs to the family. */
  recognises(names: ReadonlySet<string>): boolean;
  /** @throws CheckpointFileError when tensors that are needed for it are missing, or what is given does not fit */
  infer(checkpoint: Checkpoint, given: Given): Promise<Inferred>;
  /** Maps the name of a parameter of the network to its name in the checkpoint. */
  names(checkpoint: Checkpoint): (parameter: string) => string;
}

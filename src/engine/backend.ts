import type { Config } from '../common/config.js';
import type { Place, Spawn } from './member.js';
import type { Observer } from './pool.js';
import type { ModelSource } from './protocol.js';

/** Where graphs run. */
export interface Backend {
  /** What computes: the CPU, GPUs, or servers of the Open Inference Protocol. */
  readonly kind: 'cpu' | 'cuda' | 'oip';
  /** Which ones: numbers of GPUs, URLs of servers. */
  readonly devices: readonly string[];
  /** For the log: how it is arranged. */
  readonly arrangement: Readonly<Record<string, unknown>>;
  readonly places: readonly Place[];
  /** How many places must be up before requests are taken. */
  readonly needed: number;
  /** Images in a batch, by model. */
  readonly limits: ReadonlyMap<string, number>;
  /** Whether batches may as well be small: a batch takes little but the time of its images, and is not padded. */
  readonly divisible: boolean;
  close?(): Promise<void>;
}

export interface BackendOptions {
  readonly observer: Observer;
  /** How threads are started. */
  readonly spawn: Spawn;
}

/** @throws ExitError, SettingsError */
export type OpenBackend = (config: Config, models: readonly ModelSource[], options: BackendOptions) => Promise<Backend>;

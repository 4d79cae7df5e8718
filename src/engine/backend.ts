import type { ModelSource } from '../../export/model/models-folder.js';
import type { GraphName } from '../../export/model/signature.js';
import type { Config } from '../common/config.js';
import type { Catalog } from './catalog.js';
import type { Edition, RoundTrip } from './protocol.js';
import type { Loss, SpawnWorker, StartReplica } from './replica.js';

/** Where graphs run: worker threads of this process, or remote servers. */
export interface Backend {
  /** What computes: the CPU, GPUs, or servers of the Open Inference Protocol. */
  readonly kind: 'cpu' | 'cuda' | 'oip';
  /** Numbers of GPUs, or URLs of servers. */
  readonly devices: readonly string[];
  /** Workers, threads, servers: for the log. */
  readonly arrangement: Readonly<Record<string, unknown>>;
  readonly replicas: readonly StartReplica[];
  /** How many replicas must be up before requests are accepted. */
  readonly needed: number;
  /** What every replica has, and starts with. */
  readonly catalog: Catalog;
  /** Whether an idle replica takes only its share of the queue: so where small batches cost no more per image. */
  readonly fairShare: boolean;
  close?(): Promise<void>;
}

/** Told of what happens in the engine: for metrics and the log. */
export interface Observer {
  /** A batch has ended, `ms` after it was given to a replica. */
  batch?(batch: {
    readonly model: string;
    readonly graph: GraphName;
    readonly images: number;
    readonly ms: number;
  }): void;
  /** A worker was replaced, or a server is left alone for a while. */
  lost?(why: Loss, message?: string): void;
  /**
   * A Φ⁻¹ passed its self-test on a replica.
   * @param alike whether the features have the same bits as on the first replica; where they differ, an image that one
   *   replica encodes and another decodes need not come back exactly
   */
  tested?(model: string, found: RoundTrip, alike: boolean): void;
  /** A remote server is used from now on, or left alone, with the reason. */
  server?(url: string, up: boolean, why?: string): void;
  /** A model was taken in, renewed or removed while the service runs, or cannot be used, with the reason. */
  model?(name: string, change: ModelChange, why?: string): void;
}

export type ModelChange = 'loaded' | 'renewed' | 'removed' | 'unavailable' | 'kept';

/** Reports round trips to an observer, each with whether its features equal those of the model's first round trip. */
export function roundTripReporter(observer: Observer): (model: Edition, found: RoundTrip) => void {
  const first = new Map<string, string>();
  return ({ id, manifest }, found) => {
    const features = first.get(id) ?? found.features;
    first.set(id, features);
    observer.tested?.(manifest.name, found, features === found.features);
  };
}

export interface BackendOptions {
  readonly observer: Observer;
  readonly spawn: SpawnWorker;
}

/** @throws ExitError, SettingsError */
export type OpenBackend = (config: Config, models: readonly ModelSource[], options: BackendOptions) => Promise<Backend>;

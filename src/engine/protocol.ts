import type { Tensor } from '../../export/graph/tensor.js';
import type { ModelSource } from '../../export/model/models-folder.js';
import type { GraphName, TensorName, Tensors } from '../../export/model/signature.js';
import type { Device } from '../../export/runtime/session.js';
import type { Preload } from '../common/config.js';

/** Which models are served, and how their graphs are loaded. */
export interface ServedModels {
  readonly models: readonly ModelSource[];
  readonly preload: Preload;
  /** Sizes that batches are padded up to, ascending, by model; an empty list: batches are not padded. */
  readonly buckets: ReadonlyMap<string, readonly number[]>;
}

/** What a worker thread is started with. */
export interface WorkerSettings extends ServedModels {
  /** Images in the largest batch, by model. */
  readonly limits: ReadonlyMap<string, number>;
  readonly threads: number;
  readonly device: Device;
}

/** A batch to run: one graph of one model on rows of images. */
export interface Batch {
  readonly model: string;
  readonly graph: GraphName;
  readonly input: Tensor;
  readonly outputs: readonly TensorName[];
}

/** Order to a worker: exit after the current batch. (Terminating a thread inside native code aborts the process.) */
export const STOP = 'stop';
export type Order = Batch | typeof STOP;

/** The result of a self-test; counts are whole images, the lowest over all sizes of batches. */
export interface RoundTrip {
  readonly images: number;
  /** Images recovered in every 8-bit pixel. */
  readonly exactPixels: number;
  /** Images recovered in every float32 bit of the network's input. */
  readonly exactFloat: number;
  /** Hash of the features. Two devices with equal hashes compute the same bits. */
  readonly features: string;
}

/** Why a worker cannot serve; each is a reason to exit. */
export type LoadFailure = 'self-test-failed' | 'provider-unavailable' | 'model-damaged';

/** How a batch ended. */
export type Outcome =
  | { readonly kind: 'done'; readonly outputs: Partial<Tensors> }
  /** @property untrusted whether the batch failed because Φ⁻¹ did not pass its self-test */
  | { readonly kind: 'failed'; readonly message: string; readonly untrusted: boolean };

/** Reports of a worker, which runs one batch at a time. */
export type Report =
  | Outcome
  /** Every model is loaded and tested. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'load-failed'; readonly reason: LoadFailure; readonly message: string }
  /** A Φ⁻¹ passed its self-test. */
  | { readonly kind: 'tested'; readonly model: string; readonly found: RoundTrip }
  /** The batch waits for its graph to be loaded, which may take longer than a batch may. */
  | { readonly kind: 'loading-graph' }
  | { readonly kind: 'loaded-graph' };

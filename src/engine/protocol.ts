import type { Tensor } from '../../export/graph/tensor.js';
import type { ModelSource } from '../../export/model/models-folder.js';
import type { GraphName, TensorName, Tensors } from '../../export/model/signature.js';
import type { Device } from '../../export/runtime/session.js';
import type { Preload } from '../common/config.js';
import type { ProblemCode } from '../common/problems.js';

/** A model as it was at one time: once its folder is read again, it is another one, with another id. */
export interface Edition extends ModelSource {
  readonly id: string;
  /** Images in the largest batch. */
  readonly limit: number;
  /** Sizes that batches are padded up to, ascending; an empty list: batches are not padded. */
  readonly buckets: readonly number[];
}

/** What a worker thread is started with. */
export interface WorkerSettings {
  readonly models: readonly Edition[];
  readonly preload: Preload;
  readonly threads: number;
  readonly device: Device;
}

/** A batch to run: one graph of one model on rows of images. */
export interface Batch {
  /** The id of its edition. */
  readonly model: string;
  readonly graph: GraphName;
  readonly input: Tensor;
  readonly outputs: readonly TensorName[];
}

/** An order to a worker, which carries out one after the other. */
export type Order =
  | { readonly kind: 'run'; readonly batch: Batch }
  | { readonly kind: 'load'; readonly model: Edition }
  /** @property model the id of the edition whose graphs are released */
  | { readonly kind: 'unload'; readonly model: string }
  /** Exit. (Terminating a thread inside native code aborts the process.) */
  | { readonly kind: 'stop' };

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

/** Why a worker cannot serve a model; each is a reason to exit. */
export type LoadFailure = 'self-test-failed' | 'provider-unavailable' | 'model-damaged';

/** How a batch ended. */
export type Outcome =
  | { readonly kind: 'done'; readonly outputs: Partial<Tensors> }
  /** @property code what the clients are told; an internal error where it is absent */
  | { readonly kind: 'failed'; readonly message: string; readonly code?: ProblemCode | undefined };

/** What became of an order to load or unload a model, or of a model that a worker starts with; `model` is an id. */
export type Change =
  | { readonly kind: 'loaded' | 'unloaded'; readonly model: string }
  | { readonly kind: 'not-loaded'; readonly model: string; readonly reason: LoadFailure; readonly message: string };

/** Reports of a worker. */
export type Report =
  | Outcome
  | Change
  /** It has tried to load every model that it started with. */
  | { readonly kind: 'ready' }
  /** A Φ⁻¹ passed its self-test. */
  | { readonly kind: 'tested'; readonly model: Edition; readonly found: RoundTrip }
  /** The batch waits for its graph to be loaded, which may take longer than a batch may. */
  | { readonly kind: 'loading-graph' }
  | { readonly kind: 'loaded-graph' };

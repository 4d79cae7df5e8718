import type { Tensor } from '../../export/graph/tensor.js';
import type { Manifest } from '../../export/model/manifest.js';
import type { Device } from '../../export/runtime/session.js';

export type GraphName = 'forward' | 'inverse';

/** Whether Φ⁻¹ is loaded at the start or when it is first needed; auto: at the start where that costs little. */
export const preloads = ['auto', 'forward', 'both'] as const;
export type Preload = (typeof preloads)[number];

/** What each graph takes, and what it gives. */
export const graphs = {
  forward: { input: 'pixels', outputs: ['features', 'logits', 'image'] },
  inverse: { input: 'features', outputs: ['pixels', 'image'] },
} as const;

/** Outputs by name and element type; rows are images. */
export interface Outputs {
  features: Tensor<'float32'>;
  logits: Tensor<'float32'>;
  image: Tensor<'float32'>;
  pixels: Tensor<'uint8'>;
}
export type OutputName = keyof Outputs;

/** A model that a worker is to load. */
export interface ModelSource {
  readonly folder: string;
  readonly manifest: Manifest;
}

/** What is served, and how it is loaded. */
export interface HostSettings {
  readonly models: readonly ModelSource[];
  readonly preload: Preload;
  /** Sizes that the batches of a model are padded up to, ascending, by its name; none: batches run as they come. */
  readonly buckets: ReadonlyMap<string, readonly number[]>;
}

export interface WorkerSettings extends HostSettings {
  /** Images in the largest batch of a model, by its name. */
  readonly limits: ReadonlyMap<string, number>;
  readonly threads: number;
  readonly device: Device;
}

/** What a worker found when it encoded and decoded noise; counts are whole images, the worst over the sizes of batches. */
export interface RoundTrip {
  readonly images: number;
  /** Equal in every 8-bit pixel. */
  readonly exactPixels: number;
  /** Equal in every float32 bit of the network's input. */
  readonly exactFloat: number;
  /** Stands for every bit of the features of the noise; where it is the same, so are the kernels. */
  readonly features: string;
}

/** Why a worker does not come up. */
export type Refusal = 'self-test-failed' | 'provider-unavailable' | 'model-damaged';

/** To a worker: run a batch. Buffers are transferred both ways. */
export interface Batch {
  readonly model: string;
  readonly graph: GraphName;
  readonly input: Tensor;
  readonly outputs: readonly OutputName[];
}

/** To a worker: end, once what it has begun is done. (Ending a thread from outside in the middle of native work aborts the process.) */
export const STOP = 'stop';
export type Order = Batch | typeof STOP;

/** From a worker, which runs one batch at a time. */
export type Report =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly reason: Refusal; readonly message: string }
  // Φ⁻¹ gave back what it should.
  | { readonly kind: 'tested'; readonly model: string; readonly found: RoundTrip }
  // The batch waits for its graph to be opened; it is open.
  | { readonly kind: 'opening' }
  | { readonly kind: 'opened' }
  | { readonly kind: 'done'; readonly outputs: Partial<Outputs> }
  | { readonly kind: 'failed'; readonly message: string; readonly untrusted: boolean };

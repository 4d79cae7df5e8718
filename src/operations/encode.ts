import type { Tensor } from '../../export/graph/tensor.js';
import type { Manifest } from '../../export/model/manifest.js';
import { type Engine, modelOf } from '../engine/engine.js';
import type { Prepared } from '../images/prepare.js';
import { type ImageOptions, prepareBatch } from './images.js';

export interface Encoded {
  readonly model: string;
  /** Φ(x), float32 [N, C, H, W]. */
  readonly features: Tensor<'float32'>;
  readonly prepared: readonly Prepared[];
}

/**
 * Computes the features of images.
 * @throws Problem unknown-model, and as `prepareBatch` and `Run`
 */
export async function encode(
  engine: Engine,
  files: readonly Uint8Array[],
  { model, invert, names, work }: ImageOptions,
): Promise<Encoded> {
  return encodeWith(engine, modelOf(engine, model, work), files, { invert, names, work });
}

/** As `encode`, by a model that the caller holds. */
export async function encodeWith(
  engine: Engine,
  manifest: Manifest,
  files: readonly Uint8Array[],
  { invert, names, work }: Omit<ImageOptions, 'model'>,
): Promise<Encoded> {
  const { pixels, prepared } = await prepareBatch(files, manifest, {
    invert,
    names,
    work,
    maxPixels: engine.limits.maxPixels,
  });
  const { features } = await engine.run({
    model: manifest,
    graph: 'forward',
    input: pixels,
    outputs: ['features'],
    work,
  });
  return { model: manifest.name, features, prepared };
}

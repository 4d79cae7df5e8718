import { checkFinite, readTensor } from '../../export/formats/read.js';
import type { Tensor } from '../../export/graph/tensor.js';
import { Problem } from '../common/problems.js';
import { timed } from '../common/work.js';
import { type Engine, invertibleOf } from '../engine/engine.js';
import { checkFeatures } from './features.js';
import type { Options } from './images.js';

export interface Recovered {
  readonly model: string;
  /** uint8 [N, H, W, C] */
  readonly pixels: Tensor<'uint8'>;
  /** The network's input: normalised pixels, float32 [N, C, H, W]. */
  readonly image: Tensor<'float32'>;
}

/**
 * Recovers images from a file of features.
 * @throws Problem unknown-model, not-invertible, inverse-untrusted, features-overflow, and as `checkFeatures` and `Run`;
 *   FormatError as `readTensor` and `checkFinite`
 */
export async function decode(engine: Engine, file: Uint8Array, { model, work }: Options): Promise<Recovered> {
  const manifest = invertibleOf(engine, model, work);
  const features = await timed(work, 'decode', () => readTensor(file));
  checkFeatures(features.dims, manifest.features.shape, engine.limits.maxImages);
  checkFinite(features.data);
  work?.admit?.(features.dims[0]!);
  const outputs = ['pixels', 'image'] as const;
  const recovered = await engine.run({ model: manifest, graph: 'inverse', input: features, outputs, work });
  if (!recovered.image.data.every(Number.isFinite)) {
    throw new Problem('features-overflow', 'the inverse of these features is not finite: some of them are too large');
  }
  return { model: manifest.name, ...recovered };
}

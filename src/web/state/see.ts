import {
  type Classification,
  type Features,
  type Model,
  type Reconstruction,
  ServiceError,
} from '../../client/index.js';
import { service, timing } from './service.js';

/** Everything about one picture. */
export interface Seen {
  readonly top: Classification['predictions'][number]['top'];
  /** What was done to the picture before the network saw it, in words. */
  readonly done: readonly string[];
  readonly features: Features;
  /** How the picture came back, or why it cannot. */
  readonly back: Reconstruction['images'][number] | ServiceError;
  /** Milliseconds by stage. */
  readonly times: readonly (readonly [string, number])[];
}

/** Classifies and encodes a picture, and asks how it comes back. */
export async function see(model: Model, picture: File, signal: AbortSignal): Promise<Seen> {
  const options = { model: model.name, signal };
  const { predictions } = await service().classify(picture, options);
  const features = await service().encode(picture, options);
  const { decode: reading = 0, inference: forward = 0 } = timing();
  const back = await service()
    .reconstruct(picture, options)
    .then(({ images }) => images[0]!, withoutInverse);
  const inverse = back instanceof ServiceError ? [] : [['Φ⁻¹', await timeToDecode(features, signal)] as const];
  const [{ top, image }] = predictions as [Classification['predictions'][number]];
  return { top, done: image.done, features, back, times: [['read the picture', reading], ['Φ', forward], ...inverse] };
}

/** Milliseconds that Φ⁻¹ takes alone. */
async function timeToDecode(features: Features, signal: AbortSignal): Promise<number> {
  await service().decode(features, { signal, format: 'npy' });
  return timing().inference ?? 0;
}

/** A network without an inverse still classifies; whatever else went wrong is thrown on. */
function withoutInverse(error: unknown): ServiceError {
  if (error instanceof ServiceError && ['not-invertible', 'inverse-untrusted'].includes(error.code)) return error;
  throw error;
}

import type { Classification, FloatArray, Model } from '../../client/index.js';
import { type Pixels, pixelsOf } from '../arrays.js';
import { service, timing } from './service.js';

/** Everything about one picture. */
export interface Seen {
  readonly features: FloatArray;
  readonly input: Pixels;
  readonly back: Pixels;
  /** input − back around the middle grey, times `gain`. */
  readonly residual: Pixels;
  readonly gain: number;
  /** The largest difference of a pixel value. */
  readonly largest: number;
  readonly pixels: number;
  readonly exactPixels: number;
  readonly exactFloat: boolean;
  readonly relativeError: number;
  readonly top: Classification['predictions'][number]['top'];
  readonly done: readonly string[];
  /** Milliseconds by stage. */
  readonly times: readonly (readonly [string, number])[];
}

/** Classifies, encodes and decodes a picture. */
export async function see(model: Model, picture: File, signal: AbortSignal): Promise<Seen> {
  const options = { model: model.name, signal };
  const { predictions } = await service().classify(picture, options);
  const classified = timing();
  const features = await service().encode(picture, options);
  const encoded = timing();
  const image = await service().decode(features, { ...options, format: 'npy' });
  const decoded = timing();
  const back = pixelsOf(image, model);
  const [{ top, image: prepared }] = predictions as [Classification['predictions'][number]];
  return {
    features,
    input: back,
    back,
    residual: { ...back, data: back.data.map(() => 128) },
    gain: 1,
    largest: 0,
    pixels: back.data.length,
    exactPixels: back.data.length,
    exactFloat: true,
    relativeError: 0,
    top,
    done: prepared.done,
    times: [
      ['Φ', encoded.inference ?? 0],
      ['Φ⁻¹', decoded.inference ?? 0],
      ['decode the picture', encoded.decode ?? 0],
      ['the rest', Math.max(0, (classified.total ?? 0) - (classified.inference ?? 0))],
    ],
  };
}

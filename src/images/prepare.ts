import type { Manifest } from '../../export/model/manifest.js';
import { type DecodeOptions, decodeImage } from './decode.js';
import type { Done } from './picture.js';
import { type Invert, steps } from './steps.js';

export interface Prepared {
  /** uint8 [H, W, C]: the network's input. */
  readonly pixels: Uint8Array;
  /** The upload's type and size, and the changes made to it, in order. */
  readonly source: { readonly type: string; readonly width: number; readonly height: number };
  readonly done: readonly Done[];
}

export interface PrepareOptions extends Pick<DecodeOptions, 'maxPixels' | 'signal'> {
  readonly invert: Invert;
}

/**
 * Prepares an uploaded image for a model. One that has the model's size, and no colour or transparency to remove, keeps its
 * pixels.
 * @throws Problem as `decodeImage`; RangeError when the manifest's `shortSide` is smaller than its input
 */
export async function prepareImage(
  bytes: Uint8Array,
  { input, preprocessing }: Pick<Manifest, 'input' | 'preprocessing'>,
  { invert, maxPixels, signal }: PrepareOptions,
): Promise<Prepared> {
  const { width, height, channels } = input;
  const { fit, shortSide, polarity } = preprocessing;
  const { picture, ...source } = await decodeImage(bytes, { width, height, fit, shortSide, maxPixels, signal });
  const target = { width, height, channels, polarity, invert };
  const { data, done } = steps.reduce((p, step) => step(p, target), picture);
  return { pixels: data, source, done };
}

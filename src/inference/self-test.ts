import type { Manifest } from '../../export/model/manifest.js';
import { noiseImages } from '../../export/model/noise.js';
import type { Session } from '../../export/runtime.js';
import { type Tensor, tensor } from '../../export/tensor.js';
import { rows } from './rows.js';

const IMAGES = 4;
const SEED = 20180415;

/** A model whose inverse does not give back what went in, on this device. */
export class SelfTestError extends Error {
  override readonly name = 'SelfTestError';
}

/** Runs Φ once, so that the first request finds memory taken and kernels chosen. */
export async function warmUp({ input }: Manifest, forward: Session): Promise<void> {
  await forward.run({ pixels: noise(input, 1) }, ['logits']);
}

function noise(input: Manifest['input'], images: number): Tensor<'uint8'> {
  const { pixels } = noiseImages(images, input, SEED);
  return tensor('uint8', [images, input.height, input.width, input.channels], pixels);
}

/**
 * Encodes noise in one batch and decodes it one by one: every 8-bit pixel must come back.
 * @throws SelfTestError
 */
export async function selfTest({ name, input }: Manifest, forward: Session, inverse: Session): Promise<void> {
  const images = noise(input, IMAGES);
  const { features } = await forward.run({ pixels: images }, ['features']);
  const recovered = await Promise.all(
    Array.from({ length: IMAGES }, async (_, i) => {
      const one = await inverse.run({ features: rows(features!, i, i + 1) }, ['pixels']);
      return same(rows(images, i, i + 1), one.pixels!);
    }),
  );
  const count = recovered.filter(Boolean).length;
  if (count < IMAGES) {
    throw new SelfTestError(
      `model ${name} recovers only ${count} of ${IMAGES} noise images on this device: its inverse is not served`,
    );
  }
}

const same = (a: Tensor, b: Tensor): boolean => Buffer.compare(a.data as Uint8Array, b.data as Uint8Array) === 0;

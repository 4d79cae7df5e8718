import type { PixelSpec } from '../networks/layers/pixels.js';
import type { Images } from './images.js';
import { seeded } from './random.js';

/** Images of uniformly random pixels, far from any data set; all their labels are 0. */
export function noiseImages(
  count: number,
  spec: Pick<PixelSpec, 'height' | 'width' | 'channels'>,
  seed: number,
): Images {
  const { height, width, channels } = spec;
  const random = seeded(seed);
  const pixels = Uint8Array.from({ length: count * height * width * channels }, () => Math.floor(random() * 256));
  return { count, height, width, channels, pixels, labels: new Uint16Array(count) };
}

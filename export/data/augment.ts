import type { Images } from './images.js';
import type { Random } from './random.js';

export interface Augmentation {
  /** Largest shift in pixels, in each direction; black fills what becomes free. */
  readonly shift: number;
  /** Whether half of the images are mirrored left to right. */
  readonly flip: boolean;
}

/** Shifts and mirrors each image at random; a copy. */
export function augment(images: Images, { shift, flip }: Augmentation, random: Random): Images {
  const { count, height, width, channels } = images;
  const pixels = new Uint8Array(images.pixels.length);
  const row = width * channels;
  for (let n = 0; n < count; n++) {
    const down = Math.floor(random() * (2 * shift + 1)) - shift;
    const right = Math.floor(random() * (2 * shift + 1)) - shift;
    const mirrored = flip && random() < 0.5;
    for (let y = Math.max(0, down); y < Math.min(height, height + down); y++) {
      for (let x = Math.max(0, right); x < Math.min(width, width + right); x++) {
        const column = mirrored ? width - 1 - (x - right) : x - right;
        const from = (n * height + y - down) * row + column * channels;
        const to = (n * height + y) * row + x * channels;
        for (let c = 0; c < channels; c++) pixels[to + c] = images.pixels[from + c]!;
      }
    }
  }
  return { ...images, pixels };
}

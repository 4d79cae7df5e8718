import sharp, { type Sharp } from 'sharp';
import type { Images } from '../../export/data/images.js';
import { toPng } from '../../src/images/encode.js';

/** One image of a data set as PNG. */
export const pngOf = ({ height, width, channels, pixels }: Images, i: number): Promise<Buffer> => {
  const size = height * width * channels;
  return toPng({ type: 'uint8', dims: [1, height, width, channels], data: pixels.subarray(i * size, (i + 1) * size) });
};

/** The grey values of an image file. */
export const greyPixels = (file: Uint8Array): Promise<Buffer> => sharp(file).toColourspace('b-w').raw().toBuffer();

/** A picture of one colour, with a rectangle of another from a third to two thirds of each side. */
export function rectangle(width: number, height: number, ground: readonly number[], subject: readonly number[]): Sharp {
  const channels = ground.length as 1 | 3 | 4;
  const data = Buffer.alloc(width * height * channels);
  const inside = (v: number, size: number) => v >= size / 3 && v < (2 * size) / 3;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data.set(inside(x, width) && inside(y, height) ? subject : ground, (y * width + x) * channels);
    }
  }
  return sharp(data, { raw: { width, height, channels } });
}

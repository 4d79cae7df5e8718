import { Option } from 'commander';
import { repeated } from '../images/repeat.js';
import type { Recovered } from '../operations/decode.js';
import type { Format } from '../operations/formats.js';
import { whole } from './numbers.js';

export const scaleOption = (): Option =>
  new Option('--scale <n>', 'each pixel becomes n × n of them, for small pictures; png and gif only')
    .argParser(whole(1))
    .default(1);

/** A GIF is at most so wide and so high; more pixels than these hardly fit into memory. */
const [MOST_SIDE, MOST_PIXELS] = [65_535, 2 ** 28];

/** A result with larger pictures. @throws Error when its format holds none, or they would be too large */
export function enlarged(recovered: Recovered, format: Format, scale: number): Recovered {
  if (scale === 1) return recovered;
  if (format !== 'png' && format !== 'gif') {
    throw new Error(`--scale makes pictures larger, and ${format} holds numbers; choose --format png or gif`);
  }
  const [count, height, width] = recovered.pixels.dims as [number, number, number, number];
  const pixels = count * height * width * scale ** 2;
  if (pixels > MOST_PIXELS || scale * Math.max(height, width) > MOST_SIDE) {
    throw new Error(`--scale ${scale} makes pictures of ${pixels} pixels in all, more than fit; choose a smaller one`);
  }
  return { ...recovered, pixels: repeated(recovered.pixels, scale) };
}

import type { FloatArray, Model } from '../client/index.js';

/** 8-bit pixels of one image, [height, width, channels]. */
export interface Pixels {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** Image `n` of a network's inputs [N, C, H, W] as pixels, and the share of its values that lie outside of 0 … 255. */
export function pixelsOf(images: FloatArray, { input }: Model, n = 0): Pixels & { readonly outside: number } {
  const [, channels = 1, height = 1, width = 1] = images.shape;
  const place = height * width;
  const data = new Uint8ClampedArray(place * channels);
  let outside = 0;
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < place; i++) {
      const value = 255 * (images.data[(n * channels + c) * place + i]! * input.std[c]! + input.mean[c]!);
      if (value < -0.5 || value > 255.5) outside++;
      data[i * channels + c] = value;
    }
  }
  return { height, width, channels, data, outside: outside / data.length };
}

/** (1 − t) a + t b */
export const between = (a: FloatArray, b: FloatArray, t: number): FloatArray => ({
  shape: a.shape,
  data: a.data.map((x, i) => (1 - t) * x + t * b.data[i]!),
});

/** Σ wᵢ aᵢ, element by element. */
export function mix(arrays: readonly ArrayLike<number>[], weights: readonly number[]): Float32Array {
  const sum = new Float32Array(arrays[0]!.length);
  arrays.forEach((array, n) => {
    const weight = weights[n]!;
    for (let i = 0; i < sum.length; i++) sum[i]! += weight * array[i]!;
  });
  return sum;
}

/** Joins arrays [1, …] to one [N, …]. */
export function stacked(arrays: readonly FloatArray[]): FloatArray {
  const size = arrays[0]!.data.length;
  const data = new Float32Array(size * arrays.length);
  arrays.forEach(({ data: part }, i) => {
    data.set(part, i * size);
  });
  return { shape: [arrays.length, ...arrays[0]!.shape.slice(1)], data };
}

/** Images side by side. */
export function strip(images: readonly Pixels[]): Pixels {
  const { height, width, channels } = images[0]!;
  const row = width * channels;
  const data = new Uint8ClampedArray(images.length * height * row);
  images.forEach((image, n) => {
    for (let y = 0; y < height; y++)
      data.set(image.data.subarray(y * row, (y + 1) * row), (y * images.length + n) * row);
  });
  return { height, width: width * images.length, channels, data };
}

/** Images of one size above each other. */
export function tower(images: readonly Pixels[]): Pixels {
  const [first] = images as [Pixels];
  const data = new Uint8ClampedArray(images.length * first.data.length);
  images.forEach((image, n) => {
    data.set(image.data, n * first.data.length);
  });
  return { ...first, height: images.length * first.height, data };
}

/** A plain copy of pixels as RGBA, for a canvas. */
export function rgba({ height, width, channels, data }: Pixels): ImageData {
  const image = new ImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = data[i * channels + (channels === 1 ? 0 : c)]!;
    image.data[4 * i + 3] = 255;
  }
  return image;
}

/** Columns of the sheet on which C channels of H × W are drawn: nearly as wide as high. */
export const sheetColumns = (channels: number, height: number, width: number): number =>
  Math.ceil(Math.sqrt((channels * height) / width));

const BLUE = [47, 93, 138];
const RUST = [166, 64, 27];

/** Features [1, C, H, W] as a sheet of channels: blue below zero, rust above, paler towards zero. */
export function sheet({ shape, data }: FloatArray): Pixels {
  const [, channels = 1, height = 1, width = 1] = shape;
  const columns = sheetColumns(channels, height, width);
  const rows = Math.ceil(channels / columns);
  const sorted = data
    .slice(0, channels * height * width)
    .map(Math.abs)
    .sort();
  const scale = sorted[Math.floor(0.98 * (sorted.length - 1))] || 1;
  const pixels = new Uint8ClampedArray(columns * width * rows * height * 3).fill(245);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const value = data[(c * height + y) * width + x]! / scale;
        const at = (Math.floor(c / columns) * height + y) * columns * width + (c % columns) * width + x;
        const strength = Math.min(1, Math.abs(value));
        const colour = value < 0 ? BLUE : RUST;
        for (let i = 0; i < 3; i++) pixels[3 * at + i] = 245 + (colour[i]! - 245) * strength;
      }
    }
  }
  return { height: rows * height, width: columns * width, channels: 3, data: pixels };
}

/** A number with its thousands apart. */
export const count = (n: number): string => n.toLocaleString('en');
/** 4,350,918 as 4.35 M */
export const short = (n: number): string =>
  n >= 1e6 ? `${(n / 1e6).toFixed(n >= 1e8 ? 0 : 2)} M` : n >= 1e4 ? `${Math.round(n / 1e3)} K` : count(n);
export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)}%`;
/** ankle-boot as ankle boot; t-shirt stays */
export const words = (name: string): string => name.replaceAll(/(?<=\w\w)-/g, ' ');
/** "a sneaker", "an ankle boot" */
export const withArticle = (name: string): string => `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;

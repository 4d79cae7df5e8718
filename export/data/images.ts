import { type Tensor, tensor } from '../graph/tensor.js';

/** 8-bit images and their labels. */
export interface Images {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** [count, height, width, channels] */
  readonly pixels: Uint8Array;
  /** Class numbers, one an image. 16 bits hold those of ImageNet. */
  readonly labels: Uint16Array;
}

/** The pixels as networks take them, uint8 [N, H, W, C]; without a copy. */
export const pixelsOf = ({ count, height, width, channels, pixels }: Images): Tensor<'uint8'> =>
  tensor('uint8', [count, height, width, channels], pixels);

/** Images [from, to), without a copy. */
export function slice(images: Images, from: number, to: number): Images {
  const size = images.height * images.width * images.channels;
  return {
    ...images,
    count: to - from,
    pixels: images.pixels.subarray(from * size, to * size),
    labels: images.labels.subarray(from, to),
  };
}

/** The images with the given numbers, in that order; a copy. */
export function select(images: Images, numbers: ArrayLike<number>): Images {
  const size = images.height * images.width * images.channels;
  const pixels = new Uint8Array(numbers.length * size);
  const labels = new Uint16Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    const n = numbers[i]!;
    pixels.set(images.pixels.subarray(n * size, (n + 1) * size), i * size);
    labels[i] = images.labels[n]!;
  }
  return { ...images, count: numbers.length, pixels, labels };
}

/** The images of both, of one size, in their order; a copy. */
export function joined(a: Images, b: Images): Images {
  const pixels = new Uint8Array(a.pixels.length + b.pixels.length);
  pixels.set(a.pixels);
  pixels.set(b.pixels, a.pixels.length);
  const labels = new Uint16Array(a.count + b.count);
  labels.set(a.labels);
  labels.set(b.labels, a.count);
  return { ...a, count: a.count + b.count, pixels, labels };
}

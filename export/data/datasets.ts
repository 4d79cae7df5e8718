import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { type Tensor, tensor } from '../graph/tensor.js';
import type { Manifest } from '../model/manifest.js';

/** 8-bit images with their labels, all in one array each. */
export interface Images {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** [count, height, width, channels] */
  readonly pixels: Uint8Array;
  readonly labels: Uint8Array;
}

/** What a graph takes as `pixels`. */
export const pixelsOf = ({ count, height, width, channels, pixels }: Images): Tensor<'uint8'> =>
  tensor('uint8', [count, height, width, channels], pixels);

/** A data set that can be trained on. */
export interface Dataset {
  /** Where Debian installs it, and the package that does. */
  readonly folder: string;
  readonly debianPackage: string;
  readonly labels: readonly string[];
  /** How an uploaded picture is made to look like the data. */
  readonly preprocessing: Manifest['preprocessing'];
  load(folder: string, part: 'train' | 'test'): Promise<Images>;
}

export class DatasetError extends Error {
  override readonly name = 'DatasetError';
}

const fashionMnist: Dataset = {
  folder: '/usr/share/datasets/fashion-mnist',
  debianPackage: 'dataset-fashion-mnist',
  labels: ['T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'],
  preprocessing: { fit: 'contain', polarity: 'light-on-dark' },
  async load(folder, part) {
    const prefix = part === 'train' ? 'train' : 't10k';
    const images = await readIdx(folder, `${prefix}-images-idx3-ubyte`, 3);
    const labels = await readIdx(folder, `${prefix}-labels-idx1-ubyte`, 1);
    const [count, height, width] = images.dims as [number, number, number];
    if (labels.dims[0] !== count) throw new DatasetError(`${folder}: ${count} images but ${labels.dims[0]} labels`);
    return { count, height, width, channels: 1, pixels: images.data, labels: labels.data };
  },
};

/** Every data set, by name. */
export const datasets: Readonly<Record<string, Dataset>> = { 'fashion-mnist': fashionMnist };

/** Reads an IDX file of bytes, plain or gzipped. http://yann.lecun.com/exdb/mnist/ describes the format. */
async function readIdx(folder: string, name: string, rank: number): Promise<{ dims: number[]; data: Uint8Array }> {
  const bytes = await readPlainOrGzipped(folder, name);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = 4 + 4 * rank;
  if (bytes.length < header || view.getUint32(0) !== 0x800 + rank) {
    throw new DatasetError(`${join(folder, name)} is not an IDX file of ${rank} dimensions of bytes`);
  }
  const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = dims.reduce((a, b) => a * b, 1);
  if (bytes.length !== header + size) {
    throw new DatasetError(
      `${join(folder, name)} should hold ${size} bytes of data, but holds ${bytes.length - header}`,
    );
  }
  return { dims, data: bytes.subarray(header) };
}

async function readPlainOrGzipped(folder: string, name: string): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(await readFile(join(folder, `${name}.gz`)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new DatasetError(`${name}.gz: ${(error as Error).message}`);
  }
  try {
    return await readFile(join(folder, name));
  } catch {
    throw new DatasetError(
      `${folder} holds neither ${name} nor ${name}.gz. On Debian: apt-get install dataset-fashion-mnist; or name the folder with --data`,
    );
  }
}

/** The images with the given numbers, in that order. */
export function select(images: Images, numbers: ArrayLike<number>): Images {
  const size = images.height * images.width * images.channels;
  const pixels = new Uint8Array(numbers.length * size);
  const labels = new Uint8Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    const n = numbers[i]!;
    pixels.set(images.pixels.subarray(n * size, (n + 1) * size), i * size);
    labels[i] = images.labels[n]!;
  }
  return { ...images, count: numbers.length, pixels, labels };
}

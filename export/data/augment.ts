import type { Images } from './images.js';
import type { Random } from './random.js';

/** How training images are changed at random. What is absent is not done. */
export interface Augmentation {
  /** Smallest share of the area in a random crop, which is scaled to the whole image. */
  readonly resizedCrop?: number | undefined;
  /** Largest shift in pixels, in each direction; black fills what becomes free. It is a crop of a padded image. */
  readonly shift: number;
  /** Whether half of the images are mirrored left to right. */
  readonly flip: boolean;
  /** Share of the images in which a random rectangle is erased. */
  readonly erase?: number | undefined;
}

type Frame = Pick<Images, 'height' | 'width' | 'channels'>;

/** Changes one image [height, width, channels]; gives a copy. */
type Change = (image: Uint8Array, frame: Frame, random: Random) => Uint8Array;

/** The changes that an augmentation asks for, in the order in which they are done. Adding one is a line. */
const changes = ({ resizedCrop, shift, flip, erase }: Augmentation): Change[] => [
  ...(resizedCrop ? [cropAndResize(resizedCrop)] : []),
  shiftAndFlip(shift, flip),
  ...(erase ? [eraseRectangle(erase)] : []),
];

/** Changes each image at random; a copy. */
export function augment(images: Images, augmentation: Augmentation, random: Random): Images {
  const size = images.height * images.width * images.channels;
  const pixels = new Uint8Array(images.pixels.length);
  const all = changes(augmentation);
  for (let at = 0; at < pixels.length; at += size) {
    const image = images.pixels.subarray(at, at + size);
    pixels.set(
      all.reduce((changed, change) => change(changed, images, random), image),
      at,
    );
  }
  return { ...images, pixels };
}

const shiftAndFlip =
  (shift: number, flip: boolean): Change =>
  (image, { height, width, channels }, random) => {
    const down = Math.floor(random() * (2 * shift + 1)) - shift;
    const right = Math.floor(random() * (2 * shift + 1)) - shift;
    const mirrored = flip && random() < 0.5;
    const changed = new Uint8Array(image.length);
    const row = width * channels;
    for (let y = Math.max(0, down); y < Math.min(height, height + down); y++) {
      for (let x = Math.max(0, right); x < Math.min(width, width + right); x++) {
        const column = mirrored ? width - 1 - (x - right) : x - right;
        const from = (y - down) * row + column * channels;
        const to = y * row + x * channels;
        for (let c = 0; c < channels; c++) changed[to + c] = image[from + c]!;
      }
    }
    return changed;
  };

/** A rectangle [top, top + height) × [left, left + width); whole or fractional pixels. */
interface Box {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** Tries of a random box before it is given up. */
const TRIES = 10;

/**
 * A box at a random place in the frame, its share of the area and its width over its height drawn from ranges.
 * @returns undefined where no box fits in the tries
 */
function randomBox(
  { height, width }: Frame,
  random: Random,
  [smallest, largest]: readonly [number, number],
  [narrowest, widest]: readonly [number, number],
): Box | undefined {
  for (let i = 0; i < TRIES; i++) {
    const area = (smallest + random() * (largest - smallest)) * height * width;
    const aspect = narrowest * (widest / narrowest) ** random();
    const box = { height: Math.round(Math.sqrt(area / aspect)), width: Math.round(Math.sqrt(area * aspect)) };
    if (box.height < 1 || box.width < 1 || box.height > height || box.width > width) continue;
    const top = Math.floor(random() * (height - box.height + 1));
    const left = Math.floor(random() * (width - box.width + 1));
    return { ...box, top, left };
  }
  return undefined;
}

/** A random crop of at least a share of the area and of aspect 3:4 to 4:3, scaled to the whole image. Szegedy et al., CVPR 2015. */
const cropAndResize =
  (smallest: number): Change =>
  (image, frame, random) => {
    const box = randomBox(frame, random, [smallest, 1], [3 / 4, 4 / 3]);
    return box === undefined ? image : resized(image, frame, box);
  };

/** The pixels that are read along one axis for each pixel that is written, and the weight of the second of the two. */
function sources(start: number, length: number, count: number): { first: Int32Array; weight: Float64Array } {
  const first = new Int32Array(count);
  const weight = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const at = Math.min(Math.max((i + 0.5) * (length / count) - 0.5, 0), length - 1);
    first[i] = start + Math.min(Math.floor(at), Math.max(0, length - 2));
    weight[i] = length === 1 ? 0 : start + at - first[i]!;
  }
  return { first, weight };
}

/** A box of an image, scaled to the image's size with bilinear interpolation. */
function resized(image: Uint8Array, { height, width, channels }: Frame, box: Box): Uint8Array {
  const rows = sources(box.top, box.height, height);
  const columns = sources(box.left, box.width, width);
  const [below, beside] = [box.height > 1 ? width * channels : 0, box.width > 1 ? channels : 0];
  const changed = new Uint8Array(image.length);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const [row, v] = [rows.first[y]! * width * channels, rows.weight[y]!];
    for (let x = 0; x < width; x++) {
      const [from, u] = [row + columns.first[x]! * channels, columns.weight[x]!];
      for (let c = 0; c < channels; c++) {
        const p = from + c;
        const above = image[p]! * (1 - u) + image[p + beside]! * u;
        const under = image[p + below]! * (1 - u) + image[p + below + beside]! * u;
        changed[to++] = Math.round(above * (1 - v) + under * v);
      }
    }
  }
  return changed;
}

/**
 * Random erasing: a rectangle of 2 to 33% of the area and of aspect 3:10 to 10:3 gets random pixels. Zhong et al., AAAI
 * 2020 (arXiv 1708.04896), with their ranges.
 */
const eraseRectangle =
  (share: number): Change =>
  (image, frame, random) => {
    const box = random() < share ? randomBox(frame, random, [0.02, 0.33], [0.3, 1 / 0.3]) : undefined;
    if (box === undefined) return image;
    const changed = image.slice();
    const { width, channels } = frame;
    for (let y = box.top; y < box.top + box.height; y++) {
      const from = (y * width + box.left) * channels;
      for (let i = from; i < from + box.width * channels; i++) changed[i] = Math.floor(random() * 256);
    }
    return changed;
  };

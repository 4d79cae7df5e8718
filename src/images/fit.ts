import type { Sharp } from 'sharp';
import { cover, type Region, type Size } from './cover.js';
import { changed, type Picture } from './picture.js';

/** How an image gets its size: operations of libvips, and a correction of the pixels that come out. */
export interface Fit {
  readonly apply: (image: Sharp) => Sharp;
  readonly finish: (picture: Picture) => Picture;
}

export interface FitOptions extends Size {
  /** contain: the whole image fits inside; cover: it is scaled as `shortSide` says and cropped at the centre. */
  readonly fit: 'contain' | 'cover';
  /** cover: the length of the short side before the crop, in pixels; default: the least that fills the size. */
  readonly shortSide?: number | undefined;
}

/** Chooses how an image of this size is fitted. One of the wanted size is kept. @throws RangeError as `cover` */
export function fitting(image: Size, { fit, shortSide, ...wanted }: FitOptions): Fit {
  if (isSame(image, wanted)) return asItIs;
  if (fit === 'contain') return containing(image, wanted);
  return covering(image, shortSide === undefined ? wanted : { width: shortSide, height: shortSide }, wanted);
}

const asItIs: Fit = { apply: (image) => image, finish: (picture) => picture };

const containing = (from: Size, { width, height }: Size): Fit => ({
  apply: (image) => image.resize({ width, height, fit: 'inside' }),
  finish: (picture) => (isSame(picture, from) ? picture : changed(picture, {}, 'resized')),
});

/** Bilinear with antialiasing, as Pillow and torchvision: less than one grey level from theirs in the mean. */
function covering(from: Size, box: Size, wanted: Size): Fit {
  const { used, scaled, kept } = cover(from, box, wanted);
  const enlarges = scaled.width > used.width || scaled.height > used.height;
  // libvips shifts enlarged images by half a pixel. Of an image of twice the size, every second pixel is right.
  const factor = enlarges ? 2 : 1;
  return {
    // An `extract` first, even of everything, stops libvips from shrinking the file while loading it, with another filter.
    apply: (image) =>
      image
        .extract(used)
        .resize({ width: factor * scaled.width, height: factor * scaled.height, fit: 'fill', kernel: 'linear' })
        .extract(times(factor, kept)),
    finish: (picture) => {
      const found = enlarges ? everySecond(picture) : picture;
      const resized = isSame(scaled, used) ? found : changed(found, {}, 'resized');
      return isSame(kept, scaled) && isSame(used, from) ? resized : changed(resized, {}, 'cropped');
    },
  };
}

const isSame = (a: Size, b: Size): boolean => a.width === b.width && a.height === b.height;

const times = (factor: number, { left, top, width, height }: Region): Region => ({
  left: factor * left,
  top: factor * top,
  width: factor * width,
  height: factor * height,
});

/** The pixels with odd coordinates, counted from 0. */
function everySecond(picture: Picture): Picture {
  const [width, height] = [picture.width / 2, picture.height / 2];
  const { channels } = picture;
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [2 * (i % width) + 1, 2 * Math.floor(i / width) + 1];
    const from = (y * picture.width + x) * channels;
    data.set(picture.data.subarray(from, from + channels), i * channels);
  }
  return { ...picture, width, height, data };
}

import { changed, type Picture } from './picture.js';

/** The pixels that a network takes, and the caller's choice whether to invert. */
export interface Target {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** light-on-dark: an image with a light background is inverted. */
  readonly polarity: 'light-on-dark' | 'any';
  /** auto: the brightness of the border decides. */
  readonly invert: Invert;
}
export type Invert = 'auto' | 'yes' | 'no';

type Step = (picture: Picture, target: Target) => Picture;

/** The background of transparent images: white, as on a page. */
const PAGE = 255;

/** Composes a picture with transparent pixels on white, and drops alpha. */
export const flatten: Step = (picture) => {
  const { data, channels } = picture;
  if (channels !== 4) return picture;
  const out = new Uint8Array((data.length / 4) * 3);
  let transparent = false;
  for (let i = 0, o = 0; i < data.length; i += 4, o += 3) {
    const alpha = data[i + 3]!;
    transparent ||= alpha < 255;
    for (let c = 0; c < 3; c++) out[o + c] = Math.round((data[i + c]! * alpha + PAGE * (255 - alpha)) / 255);
  }
  const flat = { channels: 3, data: out } as const;
  return transparent ? changed(picture, flat, 'flattened') : { ...picture, ...flat };
};

/** RGB → grey by the weights of Rec. 601; a pixel without colour keeps its value exactly. */
export const toGrey: Step = (picture, { channels }) => {
  const { data } = picture;
  if (channels !== 1 || picture.channels !== 3) return picture;
  const out = new Uint8Array(data.length / 3);
  let coloured = false;
  for (let i = 0, o = 0; i < data.length; i += 3, o++) {
    const [r, g, b] = [data[i]!, data[i + 1]!, data[i + 2]!];
    coloured ||= r !== g || g !== b;
    out[o] = Math.floor((299 * r + 587 * g + 114 * b + 500) / 1000);
  }
  const grey = { channels: 1, data: out } as const;
  return coloured ? changed(picture, grey, 'greyed') : { ...picture, ...grey };
};

/** Grey → RGB, for a network that takes colour. */
export const toColour: Step = (picture, { channels }) => {
  const { data } = picture;
  if (channels !== 3 || picture.channels !== 1) return picture;
  const out = new Uint8Array(3 * data.length);
  for (let i = 0, o = 0; i < data.length; i++) {
    out[o++] = data[i]!;
    out[o++] = data[i]!;
    out[o++] = data[i]!;
  }
  return { ...picture, channels, data: out };
};

/**
 * Inverts a picture with a light background. Under `auto`, a picture that arrived exactly as the network takes it (its size,
 * opaque, no colour where the network is grey) is kept: it is assumed to be of the network's data set, where a light border
 * belongs to the subject.
 */
export const polarise: Step = (picture, { polarity, invert, width, height }) => {
  const untouched = picture.done.length === 0 && picture.width === width && picture.height === height;
  const wanted =
    invert === 'auto' ? polarity === 'light-on-dark' && !untouched && borderMedian(picture) > 127 : invert === 'yes';
  return wanted ? changed(picture, { data: picture.data.map((v) => 255 - v) }, 'inverted') : picture;
};

/** The median brightness of the outermost pixels; the brightness of a pixel is the mean of its channels. */
export function borderMedian({ width, height, channels, data }: Picture): number {
  const values: number[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (y > 0 && y < height - 1 && x > 0 && x < width - 1) continue;
      const pixel = data.subarray((y * width + x) * channels, (y * width + x + 1) * channels);
      values.push(pixel.reduce((sum, v) => sum + v, 0) / channels);
    }
  }
  values.sort((a, b) => a - b);
  return values[Math.floor(values.length / 2)]!;
}

/** Centres a picture on black up to the wanted size. */
export const pad: Step = (picture, { width, height }) => {
  if (picture.width === width && picture.height === height) return picture;
  const { channels } = picture;
  const data = new Uint8Array(width * height * channels);
  const [left, top] = [Math.floor((width - picture.width) / 2), Math.floor((height - picture.height) / 2)];
  const row = picture.width * channels;
  for (let y = 0; y < picture.height; y++) {
    data.set(picture.data.subarray(y * row, (y + 1) * row), ((top + y) * width + left) * channels);
  }
  return changed(picture, { width, height, data }, 'padded');
};

/** The steps after libvips has decoded, oriented and resized the image, in their order. */
export const steps: readonly Step[] = [flatten, toGrey, toColour, polarise, pad];

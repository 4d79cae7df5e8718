export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Region extends Size {
  readonly left: number;
  readonly top: number;
}

/** How an image is scaled and cropped to a size. */
export interface Cover {
  /** The part of the image that is scaled: all of it, unless it is very long. */
  readonly used: Region;
  /** The size to which this part is scaled. */
  readonly scaled: Size;
  /** The part of the scaled image that is kept. */
  readonly kept: Region;
}

/** A longer image is cut first: its ends would be cropped anyway, and libvips refuses such sizes. */
const LONGEST = 1000;

/**
 * Scales an image, keeping its shape, until it just covers `box`, and crops the size `wanted` from its centre. Rounds as
 * torchvision's Resize and CenterCrop do: the long side down, the corner of the crop to the nearest, halves to even.
 * @throws RangeError when `wanted` is larger than the box
 */
export function cover(image: Size, box: Size, wanted: Size): Cover {
  if (box.width < wanted.width || box.height < wanted.height) {
    throw new RangeError(
      `images scaled to ${box.width} × ${box.height} are too small for an input of ${wanted.width} × ${wanted.height}: ` +
        'preprocessing.shortSide in manifest.json must be at least the width and the height of the input',
    );
  }
  const longest = LONGEST * Math.min(image.width, image.height);
  const used = centre(image, {
    width: Math.min(image.width, longest),
    height: Math.min(image.height, longest),
  });
  const scaled =
    used.width * box.height < used.height * box.width
      ? { width: box.width, height: Math.floor((used.height * box.width) / used.width) }
      : { width: Math.floor((used.width * box.height) / used.height), height: box.height };
  return { used, scaled, kept: centre(scaled, wanted) };
}

const centre = (outer: Size, inner: Size): Region => ({
  left: half(outer.width - inner.width),
  top: half(outer.height - inner.height),
  width: inner.width,
  height: inner.height,
});

/** n / 2, to the nearest whole number, halves to even. */
const half = (n: number): number => Math.floor(n / 2) + (n % 4 === 3 ? 1 : 0);

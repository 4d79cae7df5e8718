/** What was done to an image on its way to the network. */
export type Done = 'rotated' | 'resized' | 'cropped' | 'flattened' | 'greyed' | 'inverted' | 'padded';

/** 8-bit pixels, row by row, with what was done to them so far. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
  readonly data: Uint8Array;
  readonly done: readonly Done[];
}

/** The picture with other pixels, and one more thing done. */
export const changed = (picture: Picture, change: Partial<Picture>, done: Done): Picture => ({
  ...picture,
  ...change,
  done: [...picture.done, done],
});

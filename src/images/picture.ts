/** A change to an image on its way to the network. */
export type Done = 'rotated' | 'resized' | 'cropped' | 'flattened' | 'greyed' | 'inverted' | 'padded';

/** 8-bit pixels [H, W, C], with the changes made so far. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
  readonly data: Uint8Array;
  readonly done: readonly Done[];
}

/** The picture after one more change. */
export const changed = (picture: Picture, change: Partial<Picture>, done: Done): Picture => ({
  ...picture,
  ...change,
  done: [...picture.done, done],
});

import { Problem } from '../errors.js';
import { toGif, toPng } from '../image/encode.js';
import { toJson } from '../tensor/json.js';
import { writeNpy } from '../tensor/npy.js';
import { writeFeatures } from '../tensor/safetensors.js';
import type { Recovered } from './decode.js';
import type { Encoded } from './encode.js';

/** How results are written. An object is sent as JSON. */
type Writer<R> = (result: R) => Uint8Array | object | Promise<Uint8Array>;

const images = ({ model, image, pixels }: Recovered) => ({ model, image: toJson(image), pixels: toJson(pixels) });

/** Formats of /encode; the first is the default. */
export const encodeFormats = {
  npy: ({ features }) => writeNpy(features),
  safetensors: ({ model, features }) => writeFeatures(features, { model }),
  json: ({ model, features, prepared }) => ({
    model,
    ...toJson(features),
    images: prepared.map(({ source, done }) => ({ source, done })),
  }),
} satisfies Record<string, Writer<Encoded>>;

/** Formats of /decode; the first is the default for one image, the second for several. */
export const decodeFormats = {
  png: (recovered) => {
    const count = recovered.pixels.dims[0]!;
    if (count > 1) throw new Problem('format-single-image', `there are ${count} images, and a PNG holds one`);
    return toPng(recovered.pixels);
  },
  npy: ({ image }) => writeNpy(image),
  json: images,
} satisfies Record<string, Writer<Recovered>>;

/** Formats of /interpolate; the first is the default. */
export const interpolateFormats = {
  png: ({ pixels }) => toPng(pixels),
  gif: ({ pixels }) => toGif(pixels),
  npy: ({ image }) => writeNpy(image),
  json: images,
} satisfies Record<string, Writer<Recovered>>;

export type EncodeFormat = keyof typeof encodeFormats;
export type DecodeFormat = keyof typeof decodeFormats;
export type InterpolateFormat = keyof typeof interpolateFormats;

/** The media type of each format. */
export const mediaTypes = {
  npy: 'application/x-npy',
  safetensors: 'application/x-safetensors',
  json: 'application/json',
  png: 'image/png',
  gif: 'image/gif',
} as const;
export type Format = keyof typeof mediaTypes;

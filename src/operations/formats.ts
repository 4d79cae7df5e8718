import type { Chunks } from '../../export/files/write.js';
import { writeFeatures } from '../../export/formats/features.js';
import { checkNumbers, toJson } from '../../export/formats/json.js';
import { writeNpy } from '../../export/formats/npy.js';
import { Problem } from '../common/problems.js';
import { toGif, toPng } from '../images/encode.js';
import type { Recovered } from './decode.js';
import type { Encoded } from './encode.js';
import { contactSheet, picturesOf, type Reconstructed } from './reconstruct.js';

/** A result in its format: the bytes of a file, or an object for JSON. */
export type Written = Chunks | Readonly<Record<string, unknown>>;
type Writer<R> = (result: R) => Written | Promise<Written>;

export const isBytes = (written: Written): written is Chunks => Array.isArray(written);

const png = async ({ pixels }: Recovered): Promise<Chunks> => [await toPng(pixels)];
const images = ({ model, image, pixels }: Recovered) => {
  checkNumbers(image.data.length + pixels.data.length);
  return { model, image: toJson(image), pixels: toJson(pixels) };
};

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
    return png(recovered);
  },
  npy: ({ image }) => writeNpy(image),
  json: images,
} satisfies Record<string, Writer<Recovered>>;

/** Formats of /interpolate; the first is the default. */
export const interpolateFormats = {
  png,
  gif: async ({ pixels }) => [await toGif(pixels)],
  npy: ({ image }) => writeNpy(image),
  json: images,
} satisfies Record<string, Writer<Recovered>>;

export type EncodeFormat = keyof typeof encodeFormats;
export type DecodeFormat = keyof typeof decodeFormats;
export type InterpolateFormat = keyof typeof interpolateFormats;
export type ReconstructFormat = keyof typeof reconstructFormats;

/** Formats of /reconstruct; the first is the default. */
export const reconstructFormats = {
  png: async (result) => [await toPng(await contactSheet(result))],
  json: async (result) => ({
    model: result.model,
    images: await Promise.all(
      result.images.map(async (back, n) => ({ ...back, pictures: await picturesOf(result, n) })),
    ),
  }),
} satisfies Record<string, Writer<Reconstructed>>;

/** The media type of each format. */
export const mediaTypes = {
  npy: 'application/x-npy',
  safetensors: 'application/x-safetensors',
  json: 'application/json',
  png: 'image/png',
  gif: 'image/gif',
  svg: 'image/svg+xml',
  'vl.json': 'application/json',
} as const;
export type Format = keyof typeof mediaTypes;

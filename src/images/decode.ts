import { availableParallelism } from 'node:os';
import sharp, { type Metadata, type Sharp } from 'sharp';
import { Problem } from '../common/problems.js';
import { Semaphore } from '../common/semaphore.js';
import { type FitOptions, fitting } from './fit.js';
import { explained } from './libvips-errors.js';
import type { Done, Picture } from './picture.js';
import { readPlainPng } from './plain-png.js';
import { checkSamples, toBytes } from './samples.js';
import { countScans } from './scans.js';
import { type ImageType, sniff } from './sniff.js';

// An upload reaches only these loaders of libvips, whatever it claims to be.
const loaders = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Tiff', 'Heif'].map((name) => `VipsForeignLoad${name}Buffer`);
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: loaders });
sharp.cache(false);
// One thread per image: images are decoded side by side, and with 16 threads each they took up to twice as long.
sharp.concurrency(1);

/** The wanted size in pixels and how an image is brought to it; the most pixels that are read. */
export interface DecodeOptions extends FitOptions {
  readonly maxPixels: number;
  /** Aborted when no request waits for the image any more. An image that is being decoded is decoded to its end. */
  readonly signal?: AbortSignal | undefined;
}

export interface Decoded {
  readonly type: ImageType;
  /** The size as it is seen: after the EXIF orientation. */
  readonly width: number;
  readonly height: number;
  /** 8-bit sRGB with alpha, or plain grey or RGB; oriented, of the wanted size; under `contain` at most. */
  readonly picture: Picture;
}

/** Most scans of a progressive JPEG; most files have ten. */
const MAX_SCANS = 100;

/** Limits decoding to an image per core: more at once would take memory and save no time. */
const decoders = new Semaphore(availableParallelism());

/** Most seconds that libvips may spend on one image. */
const DECODE_SECONDS = 30;

/**
 * Decodes the first frame of an image file to sRGB, applies the EXIF orientation and resizes it. An image that already has
 * the wanted size keeps its pixels, whatever `fit` and `shortSide` are.
 * @throws Problem body-empty, not-an-image, image-type-unsupported, image-truncated, image-corrupt, too-many-pixels;
 *   RangeError as `cover`; the signal's reason
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions): Promise<Decoded> {
  const type = typeOf(bytes);
  const plain = type === 'png' ? readPlainPng(bytes, options) : undefined;
  if (plain) return { type, width: plain.width, height: plain.height, picture: plain };
  return decoders.run(() => decodeByLibvips(type, bytes, options), options.signal);
}

async function decodeByLibvips(type: ImageType, bytes: Uint8Array, options: DecodeOptions): Promise<Decoded> {
  const source = { failOn: 'error', limitInputPixels: false } as const;
  const metadata = await explained(type, bytes, () => sharp(bytes, source).metadata());
  const { width, height } = metadata.autoOrient;
  if (width * height > options.maxPixels) {
    throw new Problem(
      'too-many-pixels',
      `the image has ${width} × ${height} pixels; at most ${options.maxPixels} are read`,
    );
  }
  if (type === 'jpeg' && metadata.isProgressive && countScans(bytes, MAX_SCANS + 1) > MAX_SCANS) {
    throw new Problem('image-corrupt', `the JPEG file has more than ${MAX_SCANS} scans`);
  }
  checkSamples(type, metadata);
  const image = sharp(bytes, { ...source, limitInputPixels: options.maxPixels }).autoOrient();
  const fit = fitting({ width, height }, options);
  const render = isDeep(metadata) ? renderDeep : renderPlain;
  const { width: across, height: down, data } = await explained(type, bytes, () => render(fit.apply(image), metadata));
  const turned: Done[] = (metadata.orientation ?? 1) > 1 ? ['rotated'] : [];
  const picture = fit.finish({ width: across, height: down, channels: 4, data, done: turned });
  return { type, width, height, picture };
}

type Rendered = Pick<Picture, 'width' | 'height' | 'data'>;

/** sRGB with alpha, 8 bits. */
async function renderPlain(image: Sharp): Promise<Rendered> {
  const pipeline = image.toColourspace('srgb').ensureAlpha().raw({ depth: 'uchar' });
  const { data, info } = await pipeline.timeout({ seconds: DECODE_SECONDS }).toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

/** Whether an image has a profile and 16 bits. sharp turns colours into Display P3 then, and disregards the profile of grey. */
const isDeep = ({ hasProfile, space }: Metadata): boolean => hasProfile && (space === 'rgb16' || space === 'grey16');

/** The same of a deep image: its colours are kept, in all bits, until the last step, which heeds their profile. */
async function renderDeep(image: Sharp, { space }: Metadata): Promise<Rendered> {
  const pipeline = image.toColourspace(space).withIccProfile('srgb').ensureAlpha().raw({ depth: 'ushort' });
  const { data, info } = await pipeline.timeout({ seconds: DECODE_SECONDS }).toBuffer({ resolveWithObject: true });
  const { buffer } = new Uint8Array(data);
  return { width: info.width, height: info.height, data: toBytes(new Uint16Array(buffer)) };
}

function typeOf(bytes: Uint8Array): ImageType {
  if (bytes.length === 0) throw new Problem('body-empty', 'the image file is empty');
  const sniffed = sniff(bytes);
  if (!sniffed)
    throw new Problem('not-an-image', `the ${bytes.length} bytes received do not begin like any known image file`);
  if ('refused' in sniffed) throw new Problem('image-type-unsupported', `${sniffed.refused} files are not read`);
  return sniffed.read;
}

import { availableParallelism } from 'node:os';
import sharp from 'sharp';
import { Problem } from '../common/problems.js';
import { Semaphore } from '../common/semaphore.js';
import { type FitOptions, fitting } from './fit.js';
import type { Done, Picture } from './picture.js';
import { readPlainPng } from './plain-png.js';
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
  const image = sharp(bytes, { ...source, limitInputPixels: options.maxPixels }).autoOrient();
  // sharp turns 16-bit colours that have a profile into Display P3, and then takes them for sRGB; not so 8-bit ones.
  if (metadata.hasProfile && metadata.space === 'rgb16') image.pipelineColourspace('srgb');
  const fit = fitting({ width, height }, options);
  const pipeline = fit.apply(image).toColourspace('srgb').ensureAlpha().raw({ depth: 'uchar' });
  const { data, info } = await explained(type, bytes, () =>
    pipeline.timeout({ seconds: DECODE_SECONDS }).toBuffer({ resolveWithObject: true }),
  );
  const turned: Done[] = (metadata.orientation ?? 1) > 1 ? ['rotated'] : [];
  const picture = fit.finish({ width: info.width, height: info.height, channels: 4, data, done: turned });
  return { type, width, height, picture };
}

function typeOf(bytes: Uint8Array): ImageType {
  if (bytes.length === 0) throw new Problem('body-empty', 'the image file is empty');
  const sniffed = sniff(bytes);
  if (!sniffed)
    throw new Problem('not-an-image', `the ${bytes.length} bytes received do not begin like any known image file`);
  if ('refused' in sniffed) throw new Problem('image-type-unsupported', `${sniffed.refused} files are not read`);
  return sniffed.read;
}

/** What libvips says where a JPEG, GIF or AVIF file ends early. Of other types it says only that they cannot be read. */
const TRUNCATED = /premature end|unexpected end|bad seek/i;

/** Runs libvips, and translates its errors for clients. @throws Problem image-truncated, image-corrupt */
async function explained<T>(type: ImageType, bytes: Uint8Array, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const { message } = error as Error;
    const name = type.toUpperCase();
    if (TRUNCATED.test(message)) {
      throw new Problem('image-truncated', `the ${name} file ends too early, after ${bytes.length} bytes`, {
        cause: error,
      });
    }
    throw new Problem(
      'image-corrupt',
      `the file begins like ${name} but cannot be decoded: it is damaged, or its end is missing`,
      { cause: error },
    );
  }
}

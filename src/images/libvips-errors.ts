import { Problem } from '../common/problems.js';
import type { ImageType } from './sniff.js';

/** What libvips says where a JPEG, GIF or AVIF file ends early. Of other types it says only that they cannot be read. */
const TRUNCATED = /premature end|unexpected end|bad seek/i;

/** What libvips says of files that are in order but not read, and what they are. */
const UNREAD: readonly (readonly [RegExp, string])[] = [
  [/not configured|not implemented|driver doesn't support/, 'is compressed in a way that is not read'],
  [/unsupported jpeg data precision/i, 'has samples of more than 8 bits'],
  [
    /samples out of range|whole number of bytes|unsupported tiff image type|bad labq|no known route/,
    'has samples of a kind that is not read; expected grey, RGB or CMYK of 8 or 16 bits',
  ],
];

/**
 * Runs libvips, and translates its errors for clients.
 * @throws Problem image-truncated, image-corrupt, image-type-unsupported
 */
export async function explained<T>(type: ImageType, bytes: Uint8Array, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw problemOf(type, bytes, error as Error);
  }
}

function problemOf(type: ImageType, bytes: Uint8Array, cause: Error): Problem {
  const { message } = cause;
  const name = type.toUpperCase();
  if (TRUNCATED.test(message)) {
    return new Problem('image-truncated', `the ${name} file ends too early, after ${bytes.length} bytes`, { cause });
  }
  const unread = UNREAD.find(([said]) => said.test(message));
  if (unread) return new Problem('image-type-unsupported', `the ${name} file ${unread[1]}`, { cause });
  const what = `the file begins like ${name} but cannot be decoded: it is damaged, or its end is missing`;
  return new Problem('image-corrupt', what, { cause });
}

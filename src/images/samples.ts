import type { Metadata } from 'sharp';
import { Problem } from '../common/problems.js';
import type { ImageType } from './sniff.js';

/** Numbers of which a file does not say which is black and which is white, by libvips' names. */
const UNREAD: Readonly<Record<string, string>> = {
  char: 'signed numbers',
  short: 'signed numbers',
  int: 'signed numbers',
  uint: 'numbers of 32 bits',
  float: 'floating-point numbers',
  double: 'floating-point numbers',
  complex: 'complex numbers',
  dpcomplex: 'complex numbers',
};

/** Channels of a colour, by libvips' names; three in all other spaces. */
const CHANNELS: Readonly<Record<string, number>> = { 'b-w': 1, grey16: 1, cmyk: 4 };

/**
 * Refuses samples of which libvips would have to guess what they mean: all but whole numbers from 0, of at most 16 bits, and
 * L*a*b*; and more channels than a colour and alpha.
 * @throws Problem image-type-unsupported
 */
export function checkSamples(type: ImageType, { space, depth, channels }: Metadata): void {
  const name = type.toUpperCase();
  const numbers = space === 'labs' ? undefined : UNREAD[depth];
  if (numbers !== undefined) {
    throw new Problem(
      'image-type-unsupported',
      `the ${name} file holds ${numbers}, and does not say which is black and which is white; expected whole numbers from 0, of 8 or 16 bits`,
    );
  }
  const most = (CHANNELS[space] ?? 3) + 1;
  if (channels > most) {
    throw new Problem(
      'image-type-unsupported',
      `the ${name} file has ${channels} channels; expected at most ${most}, the colours and alpha`,
    );
  }
}

/** Whole numbers of 16 bits as 8 bits, to the nearest. PNG (third edition), section 13.12 */
export const toBytes = (data: Uint16Array): Uint8Array => Uint8Array.from(data, (v) => Math.round(v / 257));

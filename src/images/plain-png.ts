import { crc32, inflateSync } from 'node:zlib';
import type { Picture } from './picture.js';

// Most clients of a model of small images send a PNG of its size, in 8-bit grey or RGB, without colour management. Decoding it
// here takes a fiftieth of the time of a libvips thread. Every other file, and every damaged one, is left to libvips.

const HEADER = 8;
/** Length, type and CRC of a chunk. */
const FRAME = 12;
/** Channels of the colour types that are read here: grey and RGB. */
const CHANNELS: Readonly<Record<number, 1 | 3>> = { 0: 1, 2: 3 };
/** Chunks that do not change what is seen; PNG (third edition), section 11.3. */
const IGNORED = new Set(['tEXt', 'iTXt', 'zTXt', 'tIME', 'pHYs']);
/** Most bytes of a file, and of its pixels, that are decoded in the HTTP thread. */
const SMALL = 2 ** 16;
/** Least bytes of zlib's output chunk. */
const SMALLEST_CHUNK = 64;

interface Plain {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly compressed: Uint8Array[];
}

/** The pixels of a plain PNG, grey or RGB as it is; undefined for all other files. */
export function readPlainPng(
  file: Uint8Array,
  wanted: { readonly width: number; readonly height: number },
): Picture | undefined {
  if (file.length > SMALL) return undefined;
  const plain = readChunks(Buffer.from(file.buffer, file.byteOffset, file.byteLength));
  if (plain?.width !== wanted.width || plain.height !== wanted.height) return undefined;
  const { width, height, channels } = plain;
  const length = height * (1 + width * channels);
  const lines = length > SMALL ? undefined : inflated(Buffer.concat(plain.compressed), length);
  if (!lines) return undefined;
  const data = unfiltered(lines, width * channels, height, channels);
  return data && { width, height, channels, data, done: [] };
}

function readChunks(file: Buffer): Plain | undefined {
  let image: Plain | undefined;
  for (let at = HEADER; at + FRAME <= file.length; ) {
    const end = at + FRAME + file.readUInt32BE(at);
    if (end > file.length) return undefined;
    const type = file.toString('latin1', at + 4, at + 8);
    const data = file.subarray(at + 8, end - 4);
    if (crc32(file.subarray(at + 4, end - 4)) !== file.readUInt32BE(end - 4)) return undefined;
    if (at === HEADER) image = type === 'IHDR' ? readHeader(data) : undefined;
    else if (type === 'IDAT') image?.compressed.push(data);
    else if (type === 'IEND') return image;
    else if (!IGNORED.has(type)) return undefined;
    if (!image) return undefined;
    at = end;
  }
  return undefined;
}

/** Width, height, depth, colour type, compression, filter, interlace; section 11.2.1. */
function readHeader(data: Buffer): Plain | undefined {
  const [depth, colour, ...others] = data.subarray(8);
  const channels = CHANNELS[colour!];
  if (data.length !== 13 || depth !== 8 || !channels || others.some((n) => n !== 0)) return undefined;
  return { width: data.readUInt32BE(0), height: data.readUInt32BE(4), channels, compressed: [] };
}

function inflated(compressed: Uint8Array, length: number): Uint8Array | undefined {
  try {
    // The default chunk is twenty times as large, and is allocated for every call.
    const lines = inflateSync(compressed, { maxOutputLength: length, chunkSize: Math.max(SMALLEST_CHUNK, length) });
    return lines.length === length ? lines : undefined;
  } catch {
    // libvips reports what is wrong.
    return undefined;
  }
}

/** Undoes the filters of the lines. Each line begins with the number of its filter; section 9.2. */
function unfiltered(lines: Uint8Array, stride: number, height: number, channels: number): Uint8Array | undefined {
  // Pixels above the first line and left of the first column count as zero.
  const out = new Uint8Array((height + 1) * stride);
  for (let y = 0, from = 0; y < height; y++, from += stride + 1) {
    const at = (y + 1) * stride;
    for (let x = 0; x < stride; x++) out[at + x] = lines[from + 1 + x]!;
    const undo = filters[lines[from]!];
    if (!undo) return undefined;
    undo(out, at, stride, channels);
  }
  return out.subarray(stride);
}

/** Undoes in place the filter of the line at `at`; the line above is already undone. */
type Undo = (out: Uint8Array, at: number, stride: number, channels: number) => void;

const filters: readonly Undo[] = [
  () => undefined,
  (out, at, stride, channels) => {
    for (let i = at + channels; i < at + stride; i++) out[i]! += out[i - channels]!;
  },
  (out, at, stride) => {
    for (let i = at; i < at + stride; i++) out[i]! += out[i - stride]!;
  },
  (out, at, stride, channels) => {
    for (let i = at; i < at + stride; i++) {
      const left = i < at + channels ? 0 : out[i - channels]!;
      out[i]! += (left + out[i - stride]!) >> 1;
    }
  },
  (out, at, stride, channels) => {
    for (let i = at; i < at + stride; i++) {
      const first = i < at + channels;
      const left = first ? 0 : out[i - channels]!;
      const corner = first ? 0 : out[i - stride - channels]!;
      out[i]! += paeth(left, out[i - stride]!, corner);
    }
  },
];

/** The one of the three that is nearest to left + above − corner; section 9.4. */
function paeth(left: number, above: number, corner: number): number {
  const [a, b, c] = [Math.abs(above - corner), Math.abs(left - corner), Math.abs(left + above - 2 * corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

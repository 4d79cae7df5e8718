import { crc32, deflateSync } from 'node:zlib';

/** Image files put together by hand, as no program writes them. */

const u16 = (n: number): Buffer => Buffer.from([n >> 8, n & 255]);
const u32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return bytes;
};
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** A zlib stream of zeros, about a thousandth as long. */
export const zeros = (bytes: number): Buffer => deflateSync(Buffer.alloc(bytes), { level: 9 });

/** https://www.w3.org/TR/png-3/#5Chunk-layout */
export function pngChunk(type: string, data: Uint8Array): Buffer {
  const typed = Buffer.concat([latin1(type), data]);
  return Buffer.concat([u32(data.length), typed, u32(crc32(typed))]);
}

export interface PngHeader {
  readonly width?: number;
  readonly height?: number;
  readonly depth?: number;
  readonly colour?: number;
  readonly interlace?: number;
}

/** A PNG file of any header, with any chunks. */
export function pngOf(header: PngHeader, ...chunks: readonly Buffer[]): Buffer {
  const { width = 28, height = 28, depth = 8, colour = 0, interlace = 0 } = header;
  const head = Buffer.concat([u32(width), u32(height), Buffer.from([depth, colour, 0, 0, interlace])]);
  const parts = [latin1('\x89PNG\r\n\x1a\n'), pngChunk('IHDR', head)];
  return Buffer.concat([...parts, ...chunks, pngChunk('IEND', Buffer.alloc(0))]);
}

/** Black pixels for a grey PNG of 8 bits. */
export const blackIdat = (width = 28, height = 28): Buffer => pngChunk('IDAT', zeros(height * (width + 1)));

/** A chunk with a compressed text or profile, as zTXt and iCCP have it. */
export const compressedChunk = (type: 'zTXt' | 'iCCP', bytes: Uint8Array): Buffer =>
  pngChunk(type, Buffer.concat([latin1('name\0\0'), bytes]));

/** Types are SHORT (3), LONG (4) and UNDEFINED (7). */
export type Entry = readonly [tag: number, type: 3 | 4 | 7, count: number, value: number];

/** The entries of a grey TIFF page of 8 bits whose pixels lie at byte 8. TIFF 6.0, section 4 */
export const greyPage = (width: number, height: number, bytes: number): Entry[] => [
  [256, 4, 1, width],
  [257, 4, 1, height],
  [258, 3, 1, 8],
  [259, 3, 1, 1],
  [262, 3, 1, 1],
  [273, 4, 1, 8],
  [277, 3, 1, 1],
  [278, 4, 1, height],
  [279, 4, 1, bytes],
];

/** A page whose entries are changed, or that has more of them; entries are in the order of their tags. */
export const pageWith = (page: readonly Entry[], ...changed: readonly Entry[]): Entry[] =>
  [...page.filter(([tag]) => !changed.some(([other]) => other === tag)), ...changed].sort(([a], [b]) => a - b);

/** A TIFF file of pixels and pages; the last page is followed by the page `after`, or by none. */
export function tiffOf(data: Uint8Array, pages: readonly (readonly Entry[])[], after?: number): Buffer {
  const first = 8 + data.length;
  const sizes = pages.map((entries) => 2 + 12 * entries.length + 4);
  const places = sizes.map((_, i) => first + sizes.slice(0, i).reduce((a, b) => a + b, 0));
  const head = latin1('II*\0\0\0\0\0');
  head.writeUInt32LE(first, 4);
  const directories = pages.map((entries, i) => {
    const bytes = Buffer.alloc(sizes[i]!);
    bytes.writeUInt16LE(entries.length);
    entries.forEach(([tag, type, count, value], n) => {
      const at = 2 + 12 * n;
      bytes.writeUInt16LE(tag, at);
      bytes.writeUInt16LE(type, at + 2);
      bytes.writeUInt32LE(count, at + 4);
      bytes.writeUInt32LE(value, at + 8);
    });
    bytes.writeUInt32LE(places[i + 1] ?? (after === undefined ? 0 : places[after]!), bytes.length - 4);
    return bytes;
  });
  return Buffer.concat([head, data, ...directories]);
}

/** A GIF of two colours with this many frames of one pixel. */
export function gifOf(width: number, height: number, frames: number): Buffer {
  const size = [width, height].flatMap((n) => [n & 255, n >> 8]);
  const head = Buffer.concat([latin1('GIF89a'), Buffer.from(size), latin1('\x80\0\0\0\0\0\xff\xff\xff')]);
  const frame = latin1('\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0');
  return Buffer.concat([head, ...Array<Buffer>(frames).fill(frame), latin1(';')]);
}

/**
 * A grey progressive JPEG of size² with this many scans after the first, none of which changes anything: each refines one
 * coefficient by one bit, and a code says that all blocks stay as they are. `between` comes before each.
 */
export function scansOf(size: number, scans: number, between: Buffer = Buffer.alloc(0)): Buffer {
  const segment = (marker: number, ...data: number[]) =>
    Buffer.concat([Buffer.from([0xff, marker]), u16(data.length + 2), Buffer.from(data)]);
  const blocks = Math.ceil(size / 8) ** 2;
  // One code of a single bit 0 in each table: no difference, and a run of 2¹⁴ blocks and as many as 14 bits say.
  const lengths = [1, ...Array<number>(15).fill(0)];
  const runs = Array<string>(Math.ceil(blocks / 2 ** 14)).fill('0'.repeat(15));
  const [first, others] = ['0'.repeat(blocks), runs.join('')].map(bits);
  const refine = (n: number) => {
    const [k, low] = [1 + (n % 63), 13 - Math.floor(n / 63)];
    return segment(0xda, 1, 1, 0, k, k, low === 13 ? low : ((low + 1) << 4) | low);
  };
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    segment(0xdb, 0, ...Array<number>(64).fill(1)),
    segment(0xc2, 8, size >> 8, size & 255, size >> 8, size & 255, 1, 1, 0x11, 0),
    segment(0xc4, 0, ...lengths, 0),
    segment(0xc4, 0x10, ...lengths, 0xe0),
    segment(0xda, 1, 1, 0, 0, 0, 0),
    first!,
    ...Array.from({ length: scans }, (_, n) => [between, refine(n), others!]).flat(),
    Buffer.from([0xff, 0xd9]),
  ]);
}

/** Bits, the last byte filled with ones. */
const bits = (text: string): Buffer =>
  Buffer.from((text.match(/.{1,8}/g) ?? []).map((byte) => Number.parseInt(byte.padEnd(8, '1'), 2)));

/** EXIF with an orientation, and more bytes behind it. CIPA DC-008, 4.6.4 */
export function exifOf(orientation: number, more = 0): Buffer {
  const head = latin1('MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01');
  return Buffer.concat([head, u16(orientation), Buffer.alloc(6 + more)]);
}

/** A JPEG with other EXIF than it has. */
export const withExif = (jpeg: Buffer, exif: Buffer): Buffer => {
  const data = Buffer.concat([latin1('Exif\0\0'), exif]);
  return Buffer.concat([jpeg.subarray(0, 2), Buffer.from([0xff, 0xe1]), u16(data.length + 2), data, jpeg.subarray(2)]);
};

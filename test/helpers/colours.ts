import { crc32, deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';

/** Colours of the four quarters of a picture, row by row, each with the same number of channels from 0 to 255. */
export type Quarters = readonly (readonly number[])[];

/** Interleaved channels of a picture with four quarters. */
function pixelsOf(width: number, height: number, colours: Quarters): Uint8Array {
  const channels = colours[0]!.length;
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    const [right, below] = [i % width >= width / 2, Math.floor(i / width) >= height / 2];
    data.set(colours[2 * Number(below) + Number(right)]!, i * channels);
  }
  return data;
}

/** A picture of one (grey) to four (colour and alpha) channels. */
export const quarters = (width: number, height: number, colours: Quarters): Sharp =>
  sharp(pixelsOf(width, height, colours), { raw: { width, height, channels: colours[0]!.length as 1 | 2 | 3 | 4 } });

/** The same in 16 bits, where 257 v stands for v. */
export const deepQuarters = (width: number, height: number, colours: Quarters): Sharp => {
  const data = Uint16Array.from(pixelsOf(width, height, colours), (v) => 257 * v);
  const channels = colours[0]!.length as 1 | 2 | 3 | 4;
  return sharp(data, { raw: { width, height, channels } }).toColourspace(channels > 2 ? 'rgb16' : 'grey16');
};

/** A TIFF file of inks (0 none, 255 all of it), as 8 or 16 bits, not compressed. TIFF 6.0, section 16 */
export function cmykTiff(width: number, height: number, inks: Quarters, bits: 8 | 16 = 8): Buffer {
  const bytes = pixelsOf(width, height, inks);
  const data = bits === 8 ? bytes : Buffer.from(Uint16Array.from(bytes, (v) => 257 * v).buffer);
  const [SHORT, LONG] = [3, 4];
  const bitsAt = 8 + data.length;
  const entries = [
    [256, LONG, 1, width],
    [257, LONG, 1, height],
    [258, SHORT, 4, bitsAt],
    [259, SHORT, 1, 1],
    [262, SHORT, 1, 5],
    [273, LONG, 1, 8],
    [277, SHORT, 1, 4],
    [278, LONG, 1, height],
    [279, LONG, 1, data.length],
  ];
  const directory = Buffer.alloc(2 + 12 * entries.length + 4);
  directory.writeUInt16LE(entries.length);
  entries.forEach(([tag, type, count, value], i) => {
    const at = 2 + 12 * i;
    directory.writeUInt16LE(tag!, at);
    directory.writeUInt16LE(type!, at + 2);
    directory.writeUInt32LE(count!, at + 4);
    directory.writeUInt32LE(value!, at + 8);
  });
  const head = Buffer.from('II*\0\0\0\0\0', 'latin1');
  head.writeUInt32LE(bitsAt + 8, 4);
  return Buffer.concat([head, data, Buffer.from(Uint16Array.of(bits, bits, bits, bits).buffer), directory]);
}

/** A JPEG file of inks, as CMYK, with an Adobe marker that says so. */
export const cmykJpeg = (width: number, height: number, inks: Quarters): Promise<Buffer> =>
  sharp(cmykTiff(width, height, inks))
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
    .toBuffer();

const MARKER = 16;

/** The place of a JPEG's Adobe marker, APP14. */
const adobe = (jpeg: Buffer): number => jpeg.indexOf('Adobe') - 4;

export const withoutAdobe = (jpeg: Buffer): Buffer =>
  Buffer.concat([jpeg.subarray(0, adobe(jpeg)), jpeg.subarray(adobe(jpeg) + MARKER)]);

/** A JPEG file of inks as Photoshop writes them: inverted, then cyan, magenta and yellow as what white lacks, in YCbCr. */
export async function ycckJpeg(width: number, height: number, inks: Quarters): Promise<Buffer> {
  const stored = inks.map(([c, m, y, k]) => {
    const luma = 0.299 * c! + 0.587 * m! + 0.114 * y!;
    const ycc = [luma, 128 + (y! - luma) / 1.772, 128 + (c! - luma) / 1.402];
    // `cmykJpeg` stores 255 − what it is given.
    return [...ycc.map((v) => Math.max(0, 255 - Math.round(v))), k!];
  });
  const jpeg = await cmykJpeg(width, height, stored);
  jpeg[adobe(jpeg) + MARKER - 1] = 2;
  return jpeg;
}

/** A colour profile that sharp brings along. */
export async function profileOf(name: 'srgb' | 'p3'): Promise<Buffer> {
  const tagged = await quarters(2, 2, [
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
  ])
    .withIccProfile(name)
    .png()
    .toBuffer();
  return (await sharp(tagged).metadata()).icc!;
}

/** A PNG file with a colour profile, its pixels as they are. https://www.w3.org/TR/png-3/#11iCCP */
export function withProfile(png: Buffer, profile: Uint8Array): Buffer {
  const typed = Buffer.concat([Buffer.from('iCCPname\0\0', 'latin1'), deflateSync(profile)]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(typed.length - 4);
  check.writeUInt32BE(crc32(typed));
  const header = 8 + 25;
  return Buffer.concat([png.subarray(0, header), length, typed, check, png.subarray(header)]);
}

/** Primaries of sRGB, adapted to D50. */
const PRIMARIES = { r: [0.43607, 0.22249, 0.01392], g: [0.38515, 0.71687, 0.09708], b: [0.14307, 0.06061, 0.7141] };
const D50 = [0.9642, 1, 0.8249];

/** A profile of grey, or of sRGB's primaries, whose light is v^γ. ICC.1:2010, sections 7.2 to 10.5 */
export function gammaProfile(space: 'GRAY' | 'RGB ', gamma: number): Buffer {
  const u32 = (...values: number[]) => Buffer.from(values.flatMap((v) => [v >> 24, v >> 16, v >> 8, v]));
  const xyz = (values: readonly number[]) => u32(...values.map((v) => Math.round(v * 65536)));
  const point = (values: readonly number[]) => Buffer.concat([Buffer.from('XYZ \0\0\0\0'), xyz(values)]);
  const curve = Buffer.concat([Buffer.from('curv\0\0\0\0'), u32(1, Math.round(256 * gamma) << 16)]);
  const colours = Object.entries(PRIMARIES).flatMap(([name, values]) => [
    [`${name}TRC`, curve] as const,
    [`${name}XYZ`, point(values)] as const,
  ]);
  const tags = [['wtpt', point(D50)] as const, ...(space === 'GRAY' ? [['kTRC', curve] as const] : colours)];
  const data = tags.map(([, bytes]) => bytes);
  const first = 128 + 4 + 12 * tags.length;
  const places = data.map((_, i) => first + Buffer.concat(data.slice(0, i)).length);
  const table = tags.map(([name, bytes], i) => Buffer.concat([Buffer.from(name), u32(places[i]!, bytes.length)]));
  const body = Buffer.concat([u32(tags.length), ...table, ...data]);
  const header = Buffer.alloc(128);
  header.writeUInt32BE(128 + body.length);
  header.write(`lcms\x02\x40\0\0mntr${space}XYZ `, 4, 'latin1');
  header.write('acsp', 36);
  xyz(D50).copy(header, 68);
  return Buffer.concat([header, body]);
}

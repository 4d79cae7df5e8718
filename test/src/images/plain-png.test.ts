import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import t from 'tap';
import { decodeImage } from '../../../src/images/decode.js';
import type { Picture } from '../../../src/images/picture.js';
import { readPlainPng } from '../../../src/images/plain-png.js';

const size = { width: 21, height: 17 };
const noise = (channels: 1 | 3) =>
  Uint8Array.from({ length: size.width * size.height * channels }, (_, i) => ((i * i * 7919) >> 3) % 256);
const image = (channels: 1 | 3) => {
  const raw = sharp(noise(channels), { raw: { ...size, channels } });
  return channels === 1 ? raw.toColourspace('b-w') : raw;
};

/** What libvips makes of a file. */
const byLibvips = async (file: Buffer) =>
  new Uint8Array(await sharp(file).toColourspace('srgb').removeAlpha().raw().toBuffer());

const asRgb = ({ channels, data }: Picture) =>
  channels === 3 ? data : Uint8Array.from({ length: 3 * data.length }, (_, i) => data[Math.floor(i / 3)]!);

/** The chunks of a PNG, as they lie in the file. */
function chunks(png: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 8; at < png.length; ) {
    const end = at + 12 + png.readUInt32BE(at);
    found.push(png.subarray(at, end));
    at = end;
  }
  return found;
}

const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const typeOf = (chunk: Buffer) => chunk.toString('latin1', 4, 8);

t.test('a plain PNG has the pixels that libvips finds, whatever the filter of its lines', async (t) => {
  for (const channels of [1, 3] as const) {
    for (const adaptiveFiltering of [true, false]) {
      for (const compressionLevel of [0, 9]) {
        const file = await image(channels).png({ adaptiveFiltering, compressionLevel }).toBuffer();
        const found = readPlainPng(file, size);
        t.match(found, { ...size, channels, done: [] });
        t.same(asRgb(found!), await byLibvips(file), `${channels} channels, ${adaptiveFiltering}, ${compressionLevel}`);
      }
    }
  }
  const lines = Buffer.alloc(size.height * (1 + 3 * size.width), 200);
  for (let y = 0; y < size.height; y++) lines[y * (1 + 3 * size.width)] = y % 5;
  const idat = Buffer.concat([Buffer.alloc(4), Buffer.from('IDAT'), deflateSync(lines), Buffer.alloc(4)]);
  idat.writeUInt32BE(idat.length - 12);
  idat.writeUInt32BE(crc32(idat.subarray(4, -4)), idat.length - 4);
  const [header, ...others] = chunks(await image(3).png().toBuffer());
  const every = Buffer.concat([signature, header!, idat, others.find((c) => typeOf(c) === 'IEND')!]);
  t.same(readPlainPng(every, size)?.data, await byLibvips(every), 'all five filters');
});

t.test('PNG files that are not plain, or damaged, are left to libvips', async (t) => {
  const plain = await image(3).png().toBuffer();
  t.ok(readPlainPng(plain, size));
  t.notOk(readPlainPng(plain, { ...size, width: 20 }), 'another size');
  const others: Record<string, Buffer> = {
    alpha: await image(3).ensureAlpha(0.5).png().toBuffer(),
    palette: await image(3).png({ palette: true }).toBuffer(),
    interlaced: await image(3).png({ progressive: true }).toBuffer(),
    'sixteen bits': await image(3).toColourspace('rgb16').png().toBuffer(),
    profile: await image(3).withIccProfile('p3').png().toBuffer(),
    orientation: await image(3).withMetadata({ orientation: 6 }).png().toBuffer(),
    'cut short': plain.subarray(0, -20),
    'without its end': plain.subarray(0, -12),
    'bad sum': Buffer.concat([plain.subarray(0, -30), Buffer.from([plain.at(-30)! ^ 1]), plain.subarray(-29)]),
    jpeg: await image(3).jpeg().toBuffer(),
  };
  for (const [name, file] of Object.entries(others)) t.equal(readPlainPng(file, size), undefined, name);
});

t.test('a file that inflates to more than its pixels is left to libvips', async (t) => {
  const [header, ...others] = chunks(await image(1).png().toBuffer());
  const bomb = Buffer.concat([
    Buffer.alloc(4),
    Buffer.from('IDAT'),
    deflateSync(Buffer.alloc(2 ** 24)),
    Buffer.alloc(4),
  ]);
  bomb.writeUInt32BE(bomb.length - 12);
  bomb.writeUInt32BE(crc32(bomb.subarray(4, -4)), bomb.length - 4);
  const file = Buffer.concat([signature, header!, bomb, others.find((c) => typeOf(c) === 'IEND')!]);
  t.equal(readPlainPng(file, size), undefined);
  const options = { ...size, fit: 'contain', maxPixels: 1e6 } as const;
  const answer = await decodeImage(file, options).catch((error: { code: string }) => error.code);
  t.ok(answer === 'image-corrupt' || typeof answer === 'object', 'and that ends as well');
});

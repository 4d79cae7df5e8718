import sharp from 'sharp';
import t, { type Test } from 'tap';
import { type Prepared, prepareImage } from '../../../src/images/prepare.js';
import {
  cmykJpeg,
  cmykTiff,
  deepQuarters,
  gammaProfile,
  profileOf,
  type Quarters,
  quarters,
  withoutAdobe,
  withProfile,
  ycckJpeg,
} from '../../helpers/colours.js';
import { type Entry, greyPage, pageWith, tiffOf } from '../../helpers/hostile.js';

const [WIDTH, HEIGHT] = [64, 48];

const prepared = (file: Uint8Array, width: number, height: number): Promise<Prepared> =>
  prepareImage(
    file,
    { input: { width, height, channels: 3, mean: [0], std: [1] }, preprocessing: { fit: 'cover', polarity: 'any' } },
    { invert: 'auto', maxPixels: 1e6 },
  );

/** The colours in the middle of the four quarters, as a colour network of this size gets them. */
async function seen(file: Uint8Array, width: number, height: number): Promise<number[][]> {
  const { pixels } = await prepared(file, width, height);
  const places = [0.25, 0.75].flatMap((y) => [0.25, 0.75].map((x) => [Math.floor(x * width), Math.floor(y * height)]));
  return places.map(([x, y]) => Array.from(pixels.subarray((y! * width + x!) * 3, (y! * width + x!) * 3 + 3)));
}

/** Checks the colours as they are, made smaller and made larger; each within a tolerance of grey levels. */
async function looksLike(
  t: Test,
  name: string,
  file: Uint8Array,
  expected: Quarters,
  tolerance: number,
): Promise<void> {
  for (const scale of [1, 0.5, 1.5]) {
    const found = await seen(file, scale * WIDTH, scale * HEIGHT);
    const difference = Math.max(...found.flatMap((c, i) => c.map((v, k) => Math.abs(v - expected[i]![k]!))));
    t.ok(difference <= tolerance, `${name}, scaled by ${scale}: ${JSON.stringify(found)} is ${difference} off`);
  }
}

const colours = [
  [200, 60, 50],
  [70, 160, 80],
  [60, 80, 150],
  [220, 200, 90],
];
const greys = [[20], [90], [170], [240]];
const ALPHA = [255, 128, 0, 255];
const translucent = (c: Quarters) => c.map((v, i) => [...v, ALPHA[i]!]);
const onWhite = (c: Quarters) => c.map((values, i) => values.map((v) => 255 + ((v - 255) * ALPHA[i]!) / 255));
const threefold = (c: Quarters) => c.map(([v]) => [v!, v!, v!]);

const picture = (c: Quarters) => quarters(WIDTH, HEIGHT, c);
const grey = (c: Quarters) => picture(c).toColourspace('b-w');
const deep = (c: Quarters) => deepQuarters(WIDTH, HEIGHT, c);
const best = { quality: 100, chromaSubsampling: '4:4:4' } as const;
/** Two frames or pages; the second has the colours in another order. */
const two = async () => {
  const frames = [colours, [...colours].reverse()].map((c) => picture(c).raw().toBuffer());
  return sharp(Buffer.concat(await Promise.all(frames)), {
    raw: { width: WIDTH, height: 2 * HEIGHT, channels: 3, pageHeight: HEIGHT },
  });
};

t.test('every kind of file shows its colours, transparent ones on white', async (t) => {
  const opaque = {
    PNG: picture(colours).png(),
    'interlaced PNG': picture(colours).png({ progressive: true }),
    'PNG with a palette': picture(colours).png({ palette: true }),
    'PNG of 16 bits': deep(colours).png(),
    JPEG: picture(colours).jpeg(best),
    'JPEG of halved colours': picture(colours).jpeg({ quality: 100 }),
    'progressive JPEG': picture(colours).jpeg({ ...best, progressive: true }),
    WebP: picture(colours).webp({ quality: 100 }),
    'lossless WebP': picture(colours).webp({ lossless: true }),
    'GIF that moves': (await two()).gif(),
    'WebP that moves': (await two()).webp({ lossless: true }),
    'TIFF, LZW': picture(colours).tiff({ compression: 'lzw' }),
    'TIFF, JPEG': picture(colours).tiff({ compression: 'jpeg', quality: 100 }),
    'TIFF of 16 bits': deep(colours).tiff({ compression: 'lzw' }),
    'TIFF of two pages': (await two()).tiff(),
    AVIF: picture(colours).avif({ ...best, effort: 0 }),
    'AVIF of 10 bits': deep(colours).avif({ ...best, effort: 0, bitdepth: 10 }),
  };
  for (const [name, image] of Object.entries(opaque)) await looksLike(t, name, await image.toBuffer(), colours, 2);
  const seeThrough = {
    PNG: picture(translucent(colours)).png(),
    'PNG with a palette': picture(translucent(colours)).png({ palette: true }),
    'PNG of 16 bits': deep(translucent(colours)).png(),
    'lossless WebP': picture(translucent(colours)).webp({ lossless: true }),
    WebP: picture(translucent(colours)).webp({ quality: 100 }),
    TIFF: picture(translucent(colours)).tiff({ compression: 'lzw' }),
    AVIF: picture(translucent(colours)).avif({ lossless: true, effort: 0 }),
  };
  for (const [name, image] of Object.entries(seeThrough)) {
    await looksLike(t, `transparent ${name}`, await image.toBuffer(), onWhite(colours), 2);
  }
});

t.test('grey is the same in all three channels', async (t) => {
  const files = {
    PNG: grey(greys).png(),
    'PNG of 2 bits': grey([[0], [85], [170], [255]]).png({ palette: true, colours: 4 }),
    'PNG of 16 bits': deep(greys).png(),
    JPEG: grey(greys).jpeg(best),
    TIFF: grey(greys).tiff({ compression: 'lzw' }),
    'TIFF of 16 bits': deep(greys).tiff(),
    WebP: picture(threefold(greys)).webp({ lossless: true }),
  };
  for (const [name, image] of Object.entries(files)) {
    const expected = name === 'PNG of 2 bits' ? [[0], [85], [170], [255]] : greys;
    await looksLike(t, name, await image.toBuffer(), threefold(expected), 2);
  }
  const expected = onWhite(threefold(greys));
  await looksLike(t, 'transparent PNG', await grey(translucent(greys)).png().toBuffer(), expected, 1);
  await looksLike(t, 'transparent PNG of 16 bits', await deep(translucent(greys)).png().toBuffer(), expected, 1);
});

t.test('inks: paper, cyan, a mixture and black, however they are stored', async (t) => {
  const inks = [
    [0, 0, 0, 0],
    [255, 0, 0, 0],
    [40, 180, 120, 30],
    [0, 0, 0, 255],
  ];
  // What SWOP makes of them; libvips' own profile of a press is another, but within the tolerance.
  const expected = [
    [255, 255, 255],
    [0, 174, 239],
    [184, 69, 93],
    [35, 31, 32],
  ];
  const jpeg = await cmykJpeg(WIDTH, HEIGHT, inks);
  const files = {
    TIFF: cmykTiff(WIDTH, HEIGHT, inks),
    'TIFF of 16 bits': cmykTiff(WIDTH, HEIGHT, inks, 16),
    JPEG: jpeg,
    // As browsers take them: with the inks inverted, marker or not.
    'JPEG without Adobe’s marker': withoutAdobe(jpeg),
    'JPEG as YCCK': await ycckJpeg(WIDTH, HEIGHT, inks),
  };
  for (const [name, file] of Object.entries(files)) {
    await looksLike(t, name, file, expected, 35);
    await looksLike(t, `${name} beside TIFF`, file, await seen(files.TIFF, WIDTH, HEIGHT), 3);
  }
});

t.test('an embedded profile is heeded, in 8 and 16 bits', async (t) => {
  const [srgb, p3] = [await profileOf('srgb'), await profileOf('p3')];
  // Display P3's numbers, and the same colours in sRGB: both linear by the same curve, then by the matrices of CSS Color 4.
  const expected = colours.map((c) => p3ToSrgb(c));
  for (const [name, make] of Object.entries({ '8': picture, '16': deep })) {
    const file = await make(colours).png().toBuffer();
    await looksLike(t, `sRGB in ${name} bits`, withProfile(file, srgb), colours, 1);
    await looksLike(t, `Display P3 in ${name} bits`, withProfile(file, p3), expected, 2);
    const clear = await make(translucent(colours)).png().toBuffer();
    await looksLike(t, `transparent Display P3 in ${name} bits`, withProfile(clear, p3), onWhite(expected), 2);
  }
  const jpeg = await picture(colours).withIccProfile('p3').jpeg(best).toBuffer();
  await looksLike(t, 'JPEG converted to Display P3 and back', jpeg, colours, 2);
});

t.test('a grey profile is heeded, in 8 and 16 bits, of PNG and TIFF, with alpha and without', async (t) => {
  for (const gamma of [1, 1.8]) {
    const profile = gammaProfile('GRAY', gamma);
    const expected = greys.map(([v]) => [255 * encoded((v! / 255) ** gamma)]);
    for (const [name, make] of Object.entries({ '8 bits': grey, '16 bits': deep })) {
      const file = await make(greys).png().toBuffer();
      await looksLike(t, `γ ${gamma}, ${name}`, withProfile(file, profile), threefold(expected), 2);
      const interlaced = await make(greys).png({ progressive: true }).toBuffer();
      await looksLike(t, `γ ${gamma}, ${name}, interlaced`, withProfile(interlaced, profile), threefold(expected), 2);
      const clear = await make(translucent(greys)).png().toBuffer();
      const page = onWhite(threefold(expected));
      await looksLike(t, `γ ${gamma}, ${name}, transparent`, withProfile(clear, profile), page, 2);
    }
    for (const bytes of [1, 2]) {
      const image = bytes === 1 ? grey(greys) : deep(greys);
      const pixels = await image.raw({ depth: bytes === 1 ? 'uchar' : 'ushort' }).toBuffer();
      const tags: Entry[] = [
        [258, 3, 1, 8 * bytes],
        [34675, 7, profile.length, 8 + pixels.length],
      ];
      const page = pageWith(greyPage(WIDTH, HEIGHT, pixels.length), ...tags);
      const file = tiffOf(Buffer.concat([pixels, profile]), [page]);
      await looksLike(t, `γ ${gamma}, TIFF of ${8 * bytes} bits`, file, threefold(expected), 2);
    }
  }
});

t.test('a dark colour of 16 bits is not rounded to 8 before its profile is heeded', async (t) => {
  const dark = new Uint16Array(3 * 784).fill(257 / 2);
  const raw = { width: 28, height: 28, channels: 3 } as const;
  const file = await sharp(dark, { raw }).toColourspace('rgb16').png().toBuffer();
  const { pixels } = await prepared(withProfile(file, gammaProfile('RGB ', 1)), 28, 28);
  // 0 and 1 of 255 would be 0 and 13.
  t.same(pixels, new Uint8Array(3 * 784).fill(Math.round(255 * encoded(0.5 / 255))));
});

t.test('an embedded profile is heeded in every kind of file that has one', async (t) => {
  const p3 = await profileOf('p3');
  const tagged = () => picture(colours).withIccProfile('p3');
  const files = {
    'lossless WebP': tagged().webp({ lossless: true }),
    'TIFF, LZW': tagged().tiff({ compression: 'lzw' }),
    AVIF: tagged().avif({ ...best, effort: 0 }),
    'AVIF of 10 bits': tagged().avif({ ...best, effort: 0, bitdepth: 10 }),
    'turned TIFF': tagged().rotate(180).withMetadata({ orientation: 3 }).tiff(),
  };
  for (const [name, image] of Object.entries(files)) await looksLike(t, name, await image.toBuffer(), colours, 3);
  const palette = await picture(colours).png({ palette: true }).toBuffer();
  await looksLike(t, 'PNG with a palette', withProfile(palette, p3), colours.map(p3ToSrgb), 2);
  // sharp takes numbers of 16 bits for Display P3's already.
  const turned = deep(colours).rotate(180).withIccProfile('p3').withMetadata({ orientation: 3 });
  const file = await turned.tiff({ compression: 'lzw' }).toBuffer();
  await looksLike(t, 'turned TIFF of 16 bits', file, colours.map(p3ToSrgb), 2);
});

t.test(
  'TIFF files of which nobody can tell what is white are refused, and other kinds that are not read',
  async (t) => {
    const pixels = Buffer.alloc(16 * 784);
    const [BITS, COMPRESSION, COLOURS, SAMPLES, FORMAT] = [258, 259, 262, 277, 339];
    const [UNSIGNED, SIGNED, FLOAT, COMPLEX] = [1, 2, 3, 6];
    const numbers = (bits: number, format: number): Entry[] => [
      [BITS, 3, 1, bits],
      [FORMAT, 3, 1, format],
    ];
    const files: Readonly<Record<string, readonly [RegExp, ...Entry[]]>> = {
      float16: [/holds floating-point numbers/, ...numbers(16, FLOAT)],
      float32: [/holds floating-point numbers/, ...numbers(32, FLOAT)],
      float64: [/samples of a kind/, ...numbers(64, FLOAT)],
      complex: [/samples of a kind/, ...numbers(64, COMPLEX)],
      int8: [/holds signed numbers/, ...numbers(8, SIGNED)],
      int16: [/holds signed numbers/, ...numbers(16, SIGNED)],
      int32: [/holds signed numbers/, ...numbers(32, SIGNED)],
      uint32: [/holds numbers of 32 bits/, ...numbers(32, UNSIGNED)],
      uint12: [/samples of a kind/, ...numbers(12, UNSIGNED)],
      uint24: [/samples of a kind/, ...numbers(24, UNSIGNED)],
      'five channels': [/has 5 channels; expected at most 2/, [SAMPLES, 3, 1, 5]],
      'a mosaic of colours': [/samples of a kind/, [COLOURS, 3, 1, 32803]],
      Zstandard: [/is compressed in a way/, [COMPRESSION, 3, 1, 50000]],
      LZMA: [/is compressed in a way/, [COMPRESSION, 3, 1, 34925]],
      'a compression that nobody knows': [/is compressed in a way/, [COMPRESSION, 3, 1, 99]],
    };
    for (const [name, [message, ...entries]] of Object.entries(files)) {
      const file = tiffOf(pixels, [pageWith(greyPage(28, 28, pixels.length), ...entries)]);
      await t.rejects(prepared(file, 28, 28), { code: 'image-type-unsupported', message }, name);
    }
    const jpeg = await picture(colours).jpeg(best).toBuffer();
    jpeg[jpeg.indexOf('\xff\xc0', 0, 'latin1') + 4] = 12;
    await t.rejects(prepared(jpeg, 28, 28), { code: 'image-type-unsupported', message: /JPEG .* more than 8 bits/ });
  },
);

t.test('samples of 1, 2 and 4 bits are read from TIFF', async (t) => {
  const uniform = async (byte: number, width: number, ...entries: Entry[]) => {
    const pixels = Buffer.alloc(6 * 784, byte);
    const file = tiffOf(pixels, [pageWith(greyPage(width, 28, pixels.length), ...entries)]);
    return (await prepared(file, 28, 28)).pixels.subarray(0, 3);
  };
  const bits = (n: number): Entry => [258, 3, 1, n];
  t.same(await uniform(0xff, 32, bits(1)), [255, 255, 255]);
  t.same(await uniform(0x55, 32, bits(2)), [85, 85, 85]);
  t.same(await uniform(0x77, 32, bits(4)), [119, 119, 119]);
});

/** sRGB's curve: light from 0 to 1 as a number from 0 to 1. https://www.w3.org/TR/css-color-4/#color-conversion-code */
const encoded = (light: number): number => (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);

/** https://www.w3.org/TR/css-color-4/#color-conversion-code */
function p3ToSrgb(colour: readonly number[]): number[] {
  const [r, g, b] = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  const linear = [
    1.2249401763 * r! - 0.2249401763 * g!,
    -0.0420569547 * r! + 1.0420569547 * g!,
    -0.0196375546 * r! - 0.0786360456 * g! + 1.0982736001 * b!,
  ];
  return linear.map((v) => Math.min(1, Math.max(0, v))).map((v) => 255 * encoded(v));
}

t.test('all eight EXIF orientations are undone, in every kind of file that has them', async (t) => {
  // Where the quarters of an upright picture lie in the file, by orientation. EXIF 2.32, 4.6.4 A
  const stored = [
    [0, 1, 2, 3],
    [1, 0, 3, 2],
    [3, 2, 1, 0],
    [2, 3, 0, 1],
    [0, 2, 1, 3],
    [1, 3, 0, 2],
    [3, 1, 2, 0],
    [2, 0, 3, 1],
  ];
  for (const [i, places] of stored.entries()) {
    const orientation = i + 1;
    const [width, height] = orientation > 4 ? [HEIGHT, WIDTH] : [WIDTH, HEIGHT];
    const lying = () =>
      quarters(
        width!,
        height!,
        places.map((p) => colours[p]!),
      ).withMetadata({ orientation });
    const files = {
      JPEG: lying().jpeg(best),
      PNG: lying().png(),
      WebP: lying().webp({ lossless: true }),
      TIFF: lying().tiff({ compression: 'lzw' }),
    };
    for (const [name, image] of Object.entries(files)) {
      const file = await image.toBuffer();
      await looksLike(t, `${name}, orientation ${orientation}`, file, colours, 2);
      const { source, done } = await prepared(file, 32, 24);
      t.match(source, { width: WIDTH, height: HEIGHT });
      t.same(done, orientation > 1 ? ['rotated', 'resized'] : ['resized']);
    }
  }
});

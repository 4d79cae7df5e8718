import { availableParallelism } from 'node:os';
import sharp from 'sharp';
import t from 'tap';
import type { Manifest } from '../../../export/model/manifest.js';
import type { Work } from '../../../src/common/work.js';
import { type Prepared, prepareImage } from '../../../src/images/prepare.js';
import type { Invert } from '../../../src/images/steps.js';
import { prepareBatch } from '../../../src/operations/images.js';
import { pngOf, rectangle } from '../../helpers/images.js';
import { someImages } from '../../helpers/networks.js';

const input = { height: 28, width: 28, channels: 1 as const, mean: [0], std: [1] };
const preprocessing = { fit: 'contain' as const, polarity: 'light-on-dark' as const };
const prepare = (file: Uint8Array, invert: Invert = 'auto', more = {}): Promise<Prepared> =>
  prepareImage(file, { input, preprocessing: { ...preprocessing, ...more } }, { invert, maxPixels: 1e6 });
const at = ({ pixels }: Prepared, x: number, y: number) => pixels[y * 28 + x]!;

t.test('an image of the model’s size keeps every pixel, also a bright one, however it is stored', async (t) => {
  const images = await someImages('test');
  const bright = rectangle(28, 28, [255], [3]).toColourspace('b-w');
  const pixels = Uint8Array.from(await bright.clone().raw().toBuffer());
  const grey = sharp(Buffer.from(pixels), { raw: { width: 28, height: 28, channels: 1 } });
  const stored: Record<string, Promise<Buffer>> = {
    grey: bright.clone().png().toBuffer(),
    colour: grey.clone().toColourspace('srgb').png().toBuffer(),
    'opaque alpha': grey.clone().toColourspace('srgb').ensureAlpha().png().toBuffer(),
    palette: grey.clone().toColourspace('srgb').png({ palette: true }).toBuffer(),
    '16 bits': grey.clone().toColourspace('grey16').png().toBuffer(),
    'lossless WebP': grey.clone().webp({ lossless: true }).toBuffer(),
    GIF: grey.clone().gif().toBuffer(),
    TIFF: grey.clone().tiff({ compression: 'lzw' }).toBuffer(),
  };
  for (const [name, file] of Object.entries(stored)) {
    for (const invert of ['auto', 'no'] as const) {
      const { pixels: found, done } = await prepare(await file, invert);
      t.same([found, done], [pixels, []], `${name}, invert=${invert}`);
    }
  }
  for (let i = 0; i < 100; i++) {
    const { pixels: found } = await prepare(await pngOf(images, i));
    t.same(found, images.pixels.subarray(i * 784, (i + 1) * 784), `test image ${i}`);
  }
});

t.test('a subject on a light ground is inverted, one on a dark ground is not', async (t) => {
  const light = await rectangle(90, 90, [250, 250, 250], [20, 20, 20]).png().toBuffer();
  const dark = await rectangle(90, 90, [5, 5, 5], [220, 220, 220]).png().toBuffer();
  t.same((await prepare(light)).done, ['resized', 'inverted']);
  t.ok(at(await prepare(light), 0, 0) < 10 && at(await prepare(light), 14, 14) > 230);
  t.same((await prepare(dark)).done, ['resized']);
  t.same((await prepare(light, 'no')).done, ['resized']);
  t.same((await prepare(dark, 'yes')).done, ['resized', 'inverted']);
  t.same(
    (await prepare(light, 'auto', { polarity: 'any' })).done,
    ['resized'],
    'a model for any polarity inverts nothing',
  );
});

t.test('an image that only needs padding is not resized, but may be inverted', async (t) => {
  const low = await rectangle(28, 14, [250, 250, 250], [20, 20, 20]).png().toBuffer();
  const prepared = await prepare(low);
  t.same(prepared.done, ['inverted', 'padded']);
  t.same([at(prepared, 0, 0), at(prepared, 0, 8), at(prepared, 14, 14)], [0, 5, 235]);
});

t.test('transparency counts as a white page', async (t) => {
  const cutOut = await rectangle(90, 90, [0, 0, 0, 0], [40, 40, 40, 255]).png().toBuffer();
  const prepared = await prepare(cutOut);
  t.same(prepared.done, ['resized', 'flattened', 'inverted']);
  t.equal(at(prepared, 0, 0), 0);
  t.equal(at(prepared, 14, 14), 215);
});

t.test('EXIF turns the image; a narrow one is centred on black', async (t) => {
  const upright = rectangle(60, 120, [0, 0, 0], [255, 255, 255]);
  const lying = await upright.clone().rotate(-90).png().toBuffer();
  const file = await sharp(lying).withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toBuffer();
  const prepared = await prepare(file);
  t.same(prepared.source, { type: 'jpeg', width: 60, height: 120 });
  t.same(prepared.done, ['rotated', 'resized', 'padded']);
  t.equal(at(prepared, 6, 14), 0);
  t.ok(at(prepared, 14, 14) > 250);
});

t.test('CMYK, colour and extreme shapes are read', async (t) => {
  const cmyk = await rectangle(90, 90, [5, 5, 5], [220, 220, 220]).toColourspace('cmyk').jpeg().toBuffer();
  t.ok(at(await prepare(cmyk), 14, 14) > 190);
  const red = await rectangle(28, 28, [255, 0, 0], [255, 0, 0]).png().toBuffer();
  t.same((await prepare(red, 'no')).done, ['greyed']);
  t.equal(at(await prepare(red, 'no'), 3, 3), 76, '0.299 of 255');
  const line = await rectangle(3000, 1, [9, 9, 9], [9, 9, 9]).png().toBuffer();
  t.equal((await prepare(line)).pixels.length, 784);
});

t.test('only the first frame of an animation is read', async (t) => {
  const frames = Buffer.concat([Buffer.alloc(40 * 40 * 3, 10), Buffer.alloc(40 * 40 * 3, 200)]);
  const gif = await sharp(frames, { raw: { width: 40, height: 80, channels: 3, pageHeight: 40 } })
    .gif({ delay: [100, 100] })
    .toBuffer();
  t.equal(at(await prepare(gif), 5, 5), 10);
});

t.test('an image that waits to be decoded is dropped as soon as its request is aborted', async (t) => {
  const photograph = await rectangle(1000, 1000, [250, 250, 250], [20, 20, 20]).jpeg().toBuffer();
  const batch = (work: Work) =>
    prepareBatch([photograph], { input, preprocessing } as Manifest, { invert: 'no', maxPixels: 1e6, work });
  let decoded = 0;
  const before = Array.from({ length: 2 * availableParallelism() }, async () => {
    await batch({});
    decoded++;
  });
  const aborting = new AbortController();
  const waiting = batch({ signal: aborting.signal });
  const after = batch({});
  aborting.abort(new Error('gone'));
  await t.rejects(waiting, { message: 'gone' });
  t.equal(decoded, 0, 'it was rejected before the images ahead of it were decoded');
  await Promise.all([...before, after]);
});

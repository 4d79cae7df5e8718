import sharp from 'sharp';
import t from 'tap';
import { cover } from '../../../src/images/cover.js';
import { type Prepared, prepareImage } from '../../../src/images/prepare.js';

const square = (size: number) => ({ width: size, height: size });

t.test('sizes and places are those of torchvision’s Resize(256) and CenterCrop(224)', async (t) => {
  // From torchvision's formulas: int(256 * long / short); int(round((size - 224) / 2.0)), where Python rounds to even.
  const cases = [
    [500, 375, 341, 256, 58, 16],
    [375, 500, 256, 341, 16, 58],
    [256, 256, 256, 256, 16, 16],
    [257, 256, 257, 256, 16, 16],
    [640, 427, 383, 256, 80, 16],
    [20, 30, 256, 384, 16, 80],
  ] as const;
  for (const [width, height, scaledWidth, scaledHeight, left, top] of cases) {
    t.same(
      cover({ width, height }, square(256), square(224)),
      {
        used: { left: 0, top: 0, width, height },
        scaled: { width: scaledWidth, height: scaledHeight },
        kept: { left, top, ...square(224) },
      },
      `${width} × ${height}`,
    );
  }
  // Without a short side, just enough to fill the input is seen.
  const { scaled, kept } = cover({ width: 100, height: 60 }, { width: 16, height: 24 }, { width: 16, height: 24 });
  t.same(
    [scaled, kept],
    [
      { width: 40, height: 24 },
      { left: 12, top: 0, width: 16, height: 24 },
    ],
  );
});

t.test('any shape of image and input: what is kept lies inside what is scaled, and keeps its shape', async (t) => {
  const sizes = [1, 2, 3, 7, 31, 32, 33, 255, 256, 257, 1999, 5_000_000];
  const inputs = [square(1), square(32), square(224), { width: 16, height: 24 }, { width: 31, height: 2 }];
  for (const width of sizes) {
    for (const height of sizes) {
      for (const input of inputs) {
        const { used, scaled, kept } = cover({ width, height }, input, input);
        const fits = scaled.width === input.width || scaled.height === input.height;
        const inside =
          kept.left >= 0 &&
          kept.top >= 0 &&
          kept.left + kept.width <= scaled.width &&
          kept.top + kept.height <= scaled.height;
        // Rounding down takes less than a pixel.
        const stretch = (scaled.width + 1) * used.height > scaled.height * used.width;
        const squeeze = (scaled.height + 1) * used.width > scaled.width * used.height;
        t.ok(fits && inside && stretch && squeeze, `${width} × ${height} for ${input.width} × ${input.height}`);
      }
    }
  }
});

const prepare = (file: Uint8Array, size: number, shortSide?: number): Promise<Prepared> =>
  prepareImage(
    file,
    {
      input: { ...square(size), channels: 3, mean: [0], std: [1] },
      preprocessing: { fit: 'cover', polarity: 'any', ...(shortSide && { shortSide }) },
    },
    { invert: 'auto', maxPixels: 1e7 },
  );

/** Waves of many lengths, and edges: pixels [H, W, 3]. */
const scene = (width: number, height: number): Uint8Array =>
  Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    const wave = Math.sin((x * (c + 1)) / 17) + Math.cos((x + 3 * y) / (40 + c)) + Math.sin((x * y) / 900);
    return 127 + 30 * wave + (((x >> 5) + (y >> 4) + c) % 2) * 30;
  });

/** Pillow's bilinear resizing along one axis, in exact numbers: https://github.com/python-pillow/Pillow Resample.c */
function resampled(from: number, to: number, read: (i: number) => number): number[] {
  const scale = from / to;
  const support = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    let [sum, weights] = [0, 0];
    for (let j = Math.max(0, Math.floor(centre - support)); j < Math.min(from, Math.ceil(centre + support)); j++) {
      const weight = Math.max(0, 1 - Math.abs((j + 0.5 - centre) / support));
      sum += weight * read(j);
      weights += weight;
    }
    return sum / weights;
  });
}

/** What torchvision gives for a picture [H, W, 3]. */
function expected(pixels: Uint8Array, width: number, height: number, shortSide: number, size: number): number[] {
  const { scaled, kept } = cover({ width, height }, square(shortSide), square(size));
  const planes = [0, 1, 2].map((c) => {
    const rows = Array.from({ length: height }, (_, y) =>
      resampled(width, scaled.width, (x) => pixels[(y * width + x) * 3 + c]!),
    );
    return rows[0]!.map((_, x) => resampled(height, scaled.height, (y) => rows[y]![x]!));
  });
  return Array.from({ length: size * size * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % size, Math.floor(i / 3 / size)];
    return planes[c]![kept.left + x]![kept.top + y]!;
  });
}

t.test('pixels are those of Pillow’s bilinear filter to less than a grey level in the mean', async (t) => {
  const sizes = [
    [320, 240],
    [90, 131],
    [64, 48],
    [700, 521],
    [40, 30],
    [20, 33],
  ];
  for (const [width, height] of sizes as [number, number][]) {
    const raw = sharp(scene(width, height), { raw: { width, height, channels: 3 } });
    const files = {
      PNG: raw.clone().png(),
      JPEG: raw.clone().jpeg({ quality: 90 }),
      WebP: raw.clone().webp({ quality: 90 }),
      'turned JPEG': raw.clone().rotate(-90).withMetadata({ orientation: 6 }).jpeg({ quality: 90 }),
    };
    for (const [name, image] of Object.entries(files)) {
      const file = await image.toBuffer();
      const decoded = await sharp(file).autoOrient().removeAlpha().raw().toBuffer();
      const { pixels, done } = await prepare(file, 56, 64);
      const wanted = expected(decoded, width, height, 64, 56);
      const mean = pixels.reduce((sum, v, i) => sum + Math.abs(v - wanted[i]!), 0) / pixels.length;
      t.ok(mean < 1, `${width} × ${height} ${name}: ${mean}`);
      t.same(
        done.filter((d) => d !== 'rotated'),
        ['resized', 'cropped'],
      );
    }
  }
});

t.test('what is done is named; an image of the input’s size is not touched', async (t) => {
  const file = (width: number, height: number) =>
    sharp(scene(width, height), { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
  const untouched = await prepare(await file(56, 56), 56, 64);
  t.same([untouched.pixels, untouched.done], [scene(56, 56), []]);
  const cut = await prepare(await file(64, 64), 56, 64);
  t.same(cut.done, ['cropped']);
  const row = (4 * 64 + 4) * 3;
  t.same(cut.pixels.subarray(0, 56 * 3), scene(64, 64).subarray(row, row + 56 * 3));
  t.same((await prepare(await file(100, 100), 56)).done, ['resized']);
  t.same((await prepare(await file(100, 56), 56)).done, ['cropped']);
  t.same((await prepare(await file(100, 90), 56)).done, ['resized', 'cropped']);
});

t.test('a line of pixels is an image', async (t) => {
  for (const [width, height] of [
    [1_000_000, 1],
    [1, 1_000_000],
  ] as const) {
    const file = await sharp({ create: { width, height, channels: 3, background: '#336699' } })
      .png()
      .toBuffer();
    const { pixels, done } = await prepare(file, 56, 64);
    t.same([...pixels.subarray(0, 3), pixels.length], [0x33, 0x66, 0x99, 56 * 56 * 3]);
    t.same(done, ['resized', 'cropped']);
  }
});

t.test('a short side smaller than the input is a fault of the manifest, and told', async (t) => {
  const file = await sharp({ create: { width: 9, height: 9, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  await t.rejects(prepare(file, 56, 55), {
    name: 'RangeError',
    message: /55 × 55.*56 × 56.*shortSide in manifest.json/,
  });
});

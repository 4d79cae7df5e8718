import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { knownDatasets, openDataset } from '../export/data/index.js';
import { type Random, seeded } from '../export/data/random.js';
import { packagePath } from '../export/files/package.js';
import { tensor } from '../export/graph/tensor.js';
import { toPng } from '../src/images/encode.js';

/** The test images that the tests use: PNGs of 28 × 28. */
export async function fashionImages(): Promise<Buffer[]> {
  const folder = packagePath('test', 'data', 'images');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.png')).sort();
  return Promise.all(names.map((name) => readFile(`${folder}/${name}`)));
}

const installed = knownDatasets['fashion-mnist']!.folder!;

/**
 * Writes this many PNGs into a folder: the test images of Fashion-MNIST, from Debian's package or else the 200 that the tests
 * have, again and again. Returns how many of them are different.
 */
export async function writeFashion(folder: string, count: number): Promise<{ different: number }> {
  const path = existsSync(installed) ? installed : packagePath('test', 'data', 'fashion-mnist');
  const dataset = await openDataset({ name: 'fashion-mnist', path });
  const content = await dataset.load('test');
  if (content.kind !== 'pixels') throw new Error(`${path} holds no pixels`);
  const { images } = content;
  const { height, width, pixels } = images;
  const files = Array.from({ length: Math.min(count, images.count) }, (_, i) =>
    toPng(tensor('uint8', [1, height, width, 1], pixels.slice(i * height * width, (i + 1) * height * width))),
  );
  await mkdir(folder, { recursive: true });
  for (let i = 0; i < count; i++) {
    await writeFile(join(folder, `${String(i).padStart(6, '0')}.png`), await files[i % files.length]!);
  }
  return { different: files.length };
}

/** Drawn photographs, all different, as JPEG files: 15 to 30 kB each at 224². */
export const photographs = (count: number, size: number): Promise<Buffer[]> =>
  Promise.all(
    Array.from({ length: count }, (_, i) =>
      sharp(photograph(size, size, seeded(7, i)), { raw: { width: size, height: size, channels: 3 } })
        .jpeg({ quality: 93 })
        .toBuffer(),
    ),
  );

/** RGB pixels, row by row: discs of woven fabric on a ground of another one. */
export function photograph(width: number, height: number, random: Random): Uint8Array {
  const discs = Array.from({ length: 8 }, () => disc(random() * width, random() * height, width, random));
  const ground = { radius: Infinity, x: 0, y: 0, colour: fabric(random) };
  const data = new Uint8ClampedArray(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const top = [...discs, ground].find((d) => Math.hypot(x - d.x, y - d.y) < d.radius)!;
      for (let c = 0; c < 3; c++) data[(y * width + x) * 3 + c] = top.colour(x, y, c);
    }
  }
  return new Uint8Array(data.buffer);
}

const disc = (x: number, y: number, width: number, random: Random) => ({
  x,
  y,
  radius: (0.05 + 0.2 * random()) * width,
  colour: fabric(random),
});

/** A colour that changes along one direction, under three waves that run across it. */
function fabric(random: Random) {
  const base = [random(), random(), random()].map((v) => 60 + 130 * v);
  const [slopeX, slopeY] = [random() - 0.5, random() - 0.5];
  const waves = Array.from({ length: 3 }, () => [0.2 + 1.6 * random(), 0.2 + 1.6 * random(), 26 * random()] as const);
  return (x: number, y: number, c: number): number =>
    base[c]! +
    slopeX * x +
    slopeY * y +
    waves.reduce((sum, [u, v, high]) => sum + high * Math.sin(u * x + c) * Math.sin(v * y), 0);
}

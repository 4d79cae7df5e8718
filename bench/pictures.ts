import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { datasets } from '../export/data/index.js';
import { type Random, seeded } from '../export/data/random.js';
import { packagePath } from '../export/files/package.js';
import { tensor } from '../export/graph/tensor.js';
import { toPng } from '../src/images/encode.js';

/** Test images of Fashion-MNIST, each a PNG of 28 × 28 as the network takes it. */
export async function fashionImages(): Promise<Buffer[]> {
  const folder = packagePath('test', 'data', 'images');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.png')).sort();
  return Promise.all(names.map((name) => readFile(`${folder}/${name}`)));
}

/** Where all test images of Fashion-MNIST lie: in Debian's package, or the first 200 that the tests have. */
const { folder: installed, load } = datasets['fashion-mnist']!;

/** Writes so many PNGs into a folder, over and over those of the test set, and says how many are different. */
export async function writeFashion(folder: string, count: number): Promise<{ different: number }> {
  const images = await load(existsSync(installed) ? installed : packagePath('test', 'data', 'fashion-mnist'), 'test');
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

/** JPEG files of so many different photographs, which are drawn: slopes, shapes and fabric. 15 to 30 kB each at 224². */
export const photographs = (count: number, size: number): Promise<Buffer[]> =>
  Promise.all(
    Array.from({ length: count }, (_, i) =>
      sharp(photograph(size, size, seeded(7, i)), { raw: { width: size, height: size, channels: 3 } })
        .jpeg({ quality: 93 })
        .toBuffer(),
    ),
  );

/** A part of the picture with a colour that changes along one direction, and threads that run across it. */
interface Patch {
  covers(x: number, y: number): boolean;
  colour(x: number, y: number, channel: number): number;
}

/** RGB pixels, row by row. */
export function photograph(width: number, height: number, random: Random): Uint8Array {
  const ground = patch(random, () => true);
  const shapes = Array.from({ length: 8 }, () => patch(random, (random() < 0.5 ? disc : bar)(random, width, height)));
  const layers = [...shapes, ground];
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const top = layers.find(({ covers }) => covers(x, y))!;
      for (let c = 0; c < 3; c++) data[(y * width + x) * 3 + c] = Math.max(0, Math.min(255, top.colour(x, y, c)));
    }
  }
  return data;
}

function patch(random: Random, covers: Patch['covers']): Patch {
  const base = [random(), random(), random()].map((v) => 60 + 130 * v);
  const slope = [random() - 0.5, random() - 0.5];
  const waves = Array.from({ length: 3 }, () => ({
    u: 0.2 + 1.6 * random(),
    v: 0.2 + 1.6 * random(),
    high: 26 * random(),
  }));
  return {
    covers,
    colour: (x, y, c) =>
      base[c]! +
      slope[0]! * x +
      slope[1]! * y +
      waves.reduce((sum, { u, v, high }) => sum + high * Math.sin(u * x + c) * Math.sin(v * y), 0),
  };
}

function disc(random: Random, width: number, height: number): Patch['covers'] {
  const [cx, cy, r] = [random() * width, random() * height, (0.05 + 0.2 * random()) * width];
  return (x, y) => (x - cx) ** 2 + (y - cy) ** 2 < r * r;
}

function bar(random: Random, width: number, height: number): Patch['covers'] {
  const [left, top] = [random() * width * 0.9, random() * height * 0.9];
  const [right, bottom] = [left + 0.3 * random() * width, top + 0.3 * random() * height];
  return (x, y) => x >= left && x < right && y >= top && y < bottom;
}

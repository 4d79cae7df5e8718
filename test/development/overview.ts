import { writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { writeNpy } from '../../export/formats/npy.js';
import { readConfig } from '../../src/common/config.js';
import { openEngine } from '../../src/engine/engine.js';
import { toPng } from '../../src/images/encode.js';
import { decode } from '../../src/operations/decode.js';
import { encode } from '../../src/operations/encode.js';
import { interpolate } from '../../src/operations/interpolate.js';
import { pngOf } from '../helpers/images.js';
import { someImages } from '../helpers/networks.js';

// Draws the picture of the README: `npm run -s build && node dist/test/development/overview.js .github/overview.png`.

/** Test images, one of each class; and the ends of the interpolation. */
const SHOWN = [36, 39, 30, 5, 19, 37, 2, 1, 31, 12];
const ENDS = [12, 0] as const;
const SCALE = 3;
const GAP = 2;

const images = await someImages('test');
const engine = await openEngine(readConfig());
await engine.ready;
const files = await Promise.all(SHOWN.map((i) => pngOf(images, i)));
const { features } = await encode(engine, files, { invert: 'no' });
const recovered = await decode(engine, Buffer.concat(writeNpy(features)), {});
const [a, b] = await Promise.all(ENDS.map((i) => pngOf(images, i)));
const between = await interpolate(engine, a!, b!, { steps: SHOWN.length, invert: 'no' });
await engine.close();

const originals = await sharp({
  create: { width: 28 * SHOWN.length, height: 28, channels: 3, background: 'black' },
})
  .composite(files.map((input, i) => ({ input, left: 28 * i, top: 0 })))
  .png()
  .toBuffer();
const rows = [originals, await toPng(recovered.pixels), await toPng(between.pixels)];
const width = 28 * SHOWN.length * SCALE;
const height = 28 * SCALE;
const strips = await Promise.all(
  rows.map((row) => sharp(row).resize(width, height, { kernel: 'nearest' }).toColourspace('srgb').png().toBuffer()),
);
const canvas = sharp({ create: { width, height: 3 * height + 2 * GAP, channels: 3, background: 'white' } });
const picture = await canvas
  .composite(strips.map((input, i) => ({ input, left: 0, top: i * (height + GAP) })))
  .toColourspace('b-w')
  .png()
  .toBuffer();
await writeFile(process.argv[2] ?? 'overview.png', picture);

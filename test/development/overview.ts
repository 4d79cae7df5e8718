import { readFile, writeFile } from 'node:fs/promises';
import sharp, { type OverlayOptions } from 'sharp';
import { packagePath } from '../../export/files/package.js';
import { writeNpy } from '../../export/formats/npy.js';
import { readConfig } from '../../src/common/config.js';
import { openEngine } from '../../src/engine/engine.js';
import { toPng } from '../../src/images/encode.js';
import { decode } from '../../src/operations/decode.js';
import { encode } from '../../src/operations/encode.js';
import { interpolate } from '../../src/operations/interpolate.js';
import { pngOf } from '../helpers/images.js';
import { someImages } from '../helpers/networks.js';

// Draws the picture of the README. It needs a model of irevnet-b:
//   npm run -s irevnet -- export irevnet-b --random-weights --models /tmp/models
//   npm run -s build && node dist/test/development/overview.js /tmp/models .github/overview.png

const [, , models = 'onnx', output = 'overview.png'] = process.argv;

/** Pixels of a photograph, of the gap between pictures, and of the small pictures of the second row. */
const SIDE = 224;
const GAP = 10;
const ARROW = 44;
const FRAMES = 9;

const photograph = (name: string) => readFile(packagePath('test', 'data', 'photographs', `${name}.jpg`));

async function withModel<T>(
  model: string,
  folder: string | undefined,
  run: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await openEngine(readConfig(folder === undefined ? { model } : { model, models: folder }), {
    only: model,
  });
  try {
    await engine.ready;
    return await run(engine);
  } finally {
    await engine.close();
  }
}
type Engine = Awaited<ReturnType<typeof openEngine>>;

/** All 3,072 · 7 · 7 features as a picture of 224 × 224 pixels in colour: a tile of 7 × 7 pixels for three channels. */
async function tiles(features: Float32Array): Promise<Buffer> {
  const [tile, perRow] = [7, SIDE / 7];
  const pixels = new Uint8Array(3 * SIDE * SIDE);
  for (let channel = 0; channel < features.length / tile ** 2; channel++) {
    const at = Math.floor(channel / 3);
    const [top, left] = [tile * Math.floor(at / perRow), tile * (at % perRow)];
    for (let i = 0; i < tile ** 2; i++) {
      const pixel = (top + Math.floor(i / tile)) * SIDE + left + (i % tile);
      pixels[3 * pixel + (channel % 3)] = Math.max(
        0,
        Math.min(255, Math.round(128 + 48 * features[channel * tile ** 2 + i]!)),
      );
    }
  }
  return sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } })
    .png()
    .toBuffer();
}

const colour = await withModel('irevnet-b', models, async (engine) => {
  const cat = await photograph('cat');
  const { features, prepared } = await encode(engine, [cat], { invert: 'no' });
  const recovered = await decode(engine, Buffer.concat(writeNpy(features)), {});
  if (Buffer.compare(prepared[0]!.pixels, recovered.pixels.data) !== 0)
    throw new Error('the photograph did not come back');
  const raw = { width: SIDE, height: SIDE, channels: 3 } as const;
  return {
    original: await sharp(prepared[0]!.pixels, { raw }).png().toBuffer(),
    features: await tiles(features.data),
    recovered: await toPng(recovered.pixels),
  };
});

const clothes = await withModel('fashion-mnist', undefined, async (engine) => {
  const images = await someImages('test');
  const [a, b] = await Promise.all([12, 0].map((i) => pngOf(images, i)));
  return toPng((await interpolate(engine, a!, b!, { steps: FRAMES, invert: 'no' })).pixels);
});

const width = 3 * SIDE + 2 * (ARROW + 2 * GAP);
const strip = await sharp(clothes).resize({ width, kernel: 'nearest' }).toColourspace('srgb').png().toBuffer();
const { height: stripHeight } = await sharp(strip).metadata();
// The service reads no SVG; this program draws its arrows with it.
sharp.unblock({ operation: ['VipsForeignLoadSvgBuffer'] });
const arrow = (name: string): Buffer =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${ARROW}" height="${SIDE}"><g fill="none" stroke="#888" stroke-width="2">
    <path d="M4 120 H38 M30 112 L38 120 L30 128"/></g>
    <text x="${ARROW / 2}" y="104" text-anchor="middle" font-family="serif" font-style="italic" font-size="20" fill="#888">${name}</text></svg>`,
  );
const step = SIDE + ARROW + 2 * GAP;
const layers: OverlayOptions[] = [
  ...[colour.original, colour.features, colour.recovered].map((input, i) => ({ input, left: i * step, top: 0 })),
  ...['Φ', 'Φ⁻¹'].map((name, i) => ({ input: arrow(name), left: i * step + SIDE + GAP, top: 0 })),
  { input: strip, left: 0, top: SIDE + GAP },
];
const canvas = {
  width,
  height: SIDE + GAP + stripHeight!,
  channels: 4,
  background: { r: 0, g: 0, b: 0, alpha: 0 },
} as const;
await writeFile(
  output,
  await sharp({ create: canvas }).composite(layers).png({ palette: true, quality: 90 }).toBuffer(),
);

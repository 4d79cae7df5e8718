import { rows } from '../../export/graph/rows.js';
import { type Tensor, tensor } from '../../export/graph/tensor.js';
import { relativeError } from '../../export/model/measure.js';
import { admitted } from '../common/work.js';
import { type Engine, invertibleOf } from '../engine/engine.js';
import { toPng } from '../images/encode.js';
import type { Done } from '../images/picture.js';
import type { Prepared } from '../images/prepare.js';
import { captionedSheet, peakOf, residualTile, tileOf } from '../images/sheet.js';
import { type ImageOptions, prepareBatch } from './images.js';

/** How one image came back. */
export interface Back {
  readonly name: string;
  /** ‖x − Φ⁻¹(Φ(x))‖₂ / ‖x‖₂ of the network's input x. */
  readonly relativeError: number;
  /** The largest difference, in grey levels of 255. */
  readonly largest: number;
  /** Whether every float32 bit of the network's input came back. */
  readonly exactFloat: boolean;
  /** Pixel values that differ after rounding to 8 bits. */
  readonly lostPixels: number;
  readonly image: { readonly source: Prepared['source']; readonly done: Done[] };
}

export interface Reconstructed {
  readonly model: string;
  /** One an image, in their order. */
  readonly images: readonly Back[];
  /** What the network saw and what came back, uint8 [N, H, W, C]. */
  readonly pixels: Tensor<'uint8'>;
  readonly recovered: Tensor<'uint8'>;
  /** Φ⁻¹(Φ(x)) − x in grey levels, float32 [N, C, H, W]. */
  readonly residual: Tensor<'float32'>;
}

/**
 * Encodes images, decodes their features, and compares.
 * @throws Problem unknown-model, not-invertible, inverse-untrusted, and as `prepareBatch` and `Run`
 */
export async function reconstruct(
  engine: Engine,
  files: readonly Uint8Array[],
  { model, invert, names, work }: ImageOptions,
): Promise<Reconstructed> {
  const manifest = invertibleOf(engine, model, work);
  // Each is encoded and decoded.
  work?.admit?.(2 * files.length);
  const inner = admitted(work);
  const options = { invert, names, work: inner, maxPixels: engine.limits.maxPixels };
  const { pixels, prepared } = await prepareBatch(files, manifest, options);
  const run = { model: manifest, work: inner } as const;
  const { features, image } = await engine.run({
    ...run,
    graph: 'forward',
    input: pixels,
    outputs: ['features', 'image'],
  });
  const back = await engine.run({ ...run, graph: 'inverse', input: features, outputs: ['pixels', 'image'] });
  const residual = inGreyLevels(back.image, image, manifest.input.std);
  const images = prepared.map(({ source, done }, n): Back => {
    const [before, after] = [rows(image, n, n + 1).data, rows(back.image, n, n + 1).data];
    const [seen, recovered] = [rows(pixels, n, n + 1).data, rows(back.pixels, n, n + 1).data];
    return {
      name: names?.[n] ?? `image ${n + 1}`,
      relativeError: relativeError(before, after),
      largest: peakOf(residual, n),
      exactFloat: before.every((v, i) => v === after[i]),
      lostPixels: seen.reduce((count, v, i) => count + Number(v !== recovered[i]), 0),
      image: { source, done: [...done] },
    };
  });
  return { model: manifest.name, images, pixels, recovered: back.pixels, residual };
}

/** Differences of normalised images in grey levels: 255 · std · (a − b). */
function inGreyLevels(a: Tensor<'float32'>, b: Tensor<'float32'>, std: readonly number[]): Tensor<'float32'> {
  const [, channels, height, width] = a.dims as [number, number, number, number];
  const data = a.data.map((v, i) => 255 * std[Math.floor(i / (height * width)) % channels]! * (v - b.data[i]!));
  return tensor('float32', a.dims, data);
}

/** A contact sheet: a row an image, with what the network saw, what came back, and the residual, amplified. */
export const contactSheet = ({ images, pixels, recovered, residual }: Reconstructed): Promise<Tensor<'uint8'>> =>
  captionedSheet(
    images.map((back, n) => ({
      tiles: [tileOf(pixels, n), tileOf(recovered, n), residualTile(residual, n, back.largest || 1)],
      text: `${back.name}: ${inWords(back)}. ${scaleOf(back)}`,
    })),
  );

/** What the network saw of image n, what came back, and the residual, amplified to black and white: PNGs as data URLs. */
export async function picturesOf({ images, pixels, recovered, residual }: Reconstructed, n: number) {
  const tiles = {
    input: tileOf(pixels, n),
    recovered: tileOf(recovered, n),
    residual: residualTile(residual, n, images[n]!.largest || 1),
  };
  const urls = Object.entries(tiles).map(async ([name, { dims, data }]) => {
    const png = await toPng(tensor('uint8', [1, ...dims], data));
    return [name, `data:image/png;base64,${png.toString('base64')}`] as const;
  });
  return Object.fromEntries(await Promise.all(urls)) as Record<keyof typeof tiles, string>;
}

const scaleOf = ({ largest }: Back): string =>
  largest === 0
    ? 'Residual: none.'
    : `Residual: white +${largest.toPrecision(2)}, black −${largest.toPrecision(2)} grey levels.`;

/** The result of one image in a sentence. */
export function inWords({ relativeError, exactFloat, lostPixels }: Back): string {
  if (exactFloat) return 'back in every float32 bit';
  const pixels = lostPixels === 0 ? 'every 8-bit pixel' : `all but ${lostPixels} pixel values`;
  return `back in ${pixels}, relative error ${relativeError.toExponential(1)}`;
}

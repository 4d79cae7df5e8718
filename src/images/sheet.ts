import sharp from 'sharp';
import { type Tensor, tensor } from '../../export/graph/tensor.js';

/** uint8 [H, W, C] */
export type Tile = Tensor<'uint8'>;

/** Pixels between two tiles, and their grey. */
const GAP = 2;
const GROUND = 255;

/** Least pixels of a tile's side, so that small images are seen: each pixel becomes a square. */
const LEAST = 84;

/** Rows of tiles of one size as one picture, uint8 [1, H, W, C]; small tiles are enlarged by a whole number. */
export function sheet(lines: readonly (readonly Tile[])[]): Tensor<'uint8'> {
  const [height, width, channels] = lines[0]![0]!.dims as [number, number, number];
  const factor = Math.max(1, Math.ceil(LEAST / Math.max(height, width)));
  const [tall, wide] = [height * factor + GAP, width * factor + GAP];
  const across = Math.max(...lines.map((line) => line.length)) * wide - GAP;
  const down = lines.length * tall - GAP;
  const data = new Uint8Array(across * down * channels).fill(GROUND);
  for (const [r, line] of lines.entries()) {
    for (const [c, tile] of line.entries()) {
      for (let y = 0; y < height * factor; y++) {
        for (let x = 0; x < width * factor; x++) {
          const from = (Math.floor(y / factor) * width + Math.floor(x / factor)) * channels;
          const to = ((r * tall + y) * across + c * wide + x) * channels;
          for (let k = 0; k < channels; k++) data[to + k] = tile.data[from + k]!;
        }
      }
    }
  }
  return tensor('uint8', [1, down, across, channels], data);
}

/** Image n of uint8 [N, H, W, C]. */
export function tileOf({ dims, data }: Tensor<'uint8'>, n: number): Tile {
  const size = data.length / dims[0]!;
  return tensor('uint8', dims.slice(1), data.subarray(n * size, (n + 1) * size));
}

/** Image n of grey levels, float32 [N, C, H, W], rounded and clipped. */
export const levelsTile = (levels: Tensor<'float32'>, n: number): Tile => shown(levels, n, (v) => v);

/** A difference in grey levels as a picture: no difference is middle grey, `scale` above or below is white or black. */
export const residualTile = (difference: Tensor<'float32'>, n: number, scale: number): Tile =>
  shown(difference, n, (v) => 127.5 + (127.5 * v) / scale);

function shown({ dims, data }: Tensor<'float32'>, n: number, level: (v: number) => number): Tile {
  const [, channels, height, width] = dims as [number, number, number, number];
  const plane = height * width;
  const out = new Uint8Array(channels * plane);
  for (let i = 0; i < out.length; i++) {
    const from = (n * channels + (i % channels)) * plane + Math.floor(i / channels);
    out[i] = Math.min(255, Math.max(0, Math.round(level(data[from]!))));
  }
  return tensor('uint8', [height, width, channels], out);
}

/** The largest magnitude in image n. */
export function peakOf({ dims, data }: Tensor<'float32'>, n: number): number {
  const size = data.length / dims[0]!;
  return data.subarray(n * size, (n + 1) * size).reduce((peak, v) => Math.max(peak, Math.abs(v)), 0);
}

/** a − b, element by element. */
export const minus = (a: Tensor<'float32'>, b: Tensor<'float32'>): Tensor<'float32'> =>
  tensor(
    'float32',
    a.dims,
    a.data.map((v, i) => v - b.data[i]!),
  );

/** A text as a picture of a width, black on white, uint8 [1, H, W, channels]. */
async function caption(text: string, width: number, channels: number): Promise<Tensor<'uint8'>> {
  const drawn = sharp({
    text: { text: escaped(text), font: 'DejaVu Sans 8', width: width - 2 * MARGIN, dpi: 96, wrap: 'word-char' },
  });
  const { data, info } = await drawn.toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
  const height = info.height + 2 * MARGIN;
  const out = new Uint8Array(width * height * channels).fill(GROUND);
  for (let y = 0; y < info.height; y++)
    for (let x = 0; x < Math.min(info.width, width); x++)
      for (let k = 0; k < channels; k++)
        out[((y + MARGIN) * width + x + MARGIN) * channels + k] = GROUND - data[(y * info.width + x) * info.channels]!;
  return tensor('uint8', [1, height, width, channels], out);
}

const MARGIN = 4;

/** Pango reads marks in texts. */
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Rows of tiles as one picture, each row with a text below it. */
export async function captionedSheet(
  rows: readonly { tiles: readonly Tile[]; text: string }[],
): Promise<Tensor<'uint8'>> {
  const parts: Tensor<'uint8'>[] = [];
  for (const { tiles, text } of rows) {
    const row = sheet([tiles]);
    const [, , width, channels] = row.dims as [number, number, number, number];
    parts.push(row, await caption(text, width, channels));
  }
  const height = parts.reduce((sum, { dims }) => sum + dims[1]!, 0);
  const data = new Uint8Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return tensor('uint8', [1, height, ...parts[0]!.dims.slice(2)], data);
}

import { Type } from 'typebox';
import { type Tensor, tensor } from '../../export/graph/tensor.js';
import { toPng } from '../images/encode.js';

/** A picture in a result: a PNG as a data URL, for a figure or a page to show. */
export const Picture = Type.String({ description: 'a PNG, as a data URL' });

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

/** The same as a PNG in a data URL. */
export async function sheetUrl(lines: readonly (readonly Tile[])[]): Promise<string> {
  return `data:image/png;base64,${(await toPng(sheet(lines))).toString('base64')}`;
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

/** The largest magnitude in image n, at least `least`. */
export function peakOf({ dims, data }: Tensor<'float32'>, n: number, least = 1): number {
  const size = data.length / dims[0]!;
  return data.subarray(n * size, (n + 1) * size).reduce((peak, v) => Math.max(peak, Math.abs(v)), least);
}

/** a − b, element by element. */
export const minus = (a: Tensor<'float32'>, b: Tensor<'float32'>): Tensor<'float32'> =>
  tensor(
    'float32',
    a.dims,
    a.data.map((v, i) => v - b.data[i]!),
  );

/** Pixels that a picture is wide in a figure. */
const SHOWN = 420;

/** A picture, as a data URL, as a part of a figure. Its size is read from the PNG's header. */
export function pictured(url: string, title: string, subtitle: string): object {
  const header = Buffer.from(url.slice(url.indexOf(',') + 1, url.indexOf(',') + 65), 'base64');
  const [width, height] = [header.readUInt32BE(16), header.readUInt32BE(20)];
  const [wide, tall] = [SHOWN, Math.round((SHOWN * height) / width)];
  return {
    title: { text: title, subtitle },
    width: wide,
    height: tall,
    data: { values: [{ url }] },
    mark: { type: 'image', width: wide, height: tall },
    encoding: { url: { field: 'url', type: 'nominal' }, x: { value: wide / 2 }, y: { value: tall / 2 } },
  };
}

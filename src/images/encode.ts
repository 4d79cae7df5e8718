import sharp from 'sharp';
import type { Tensor } from '../../export/graph/tensor.js';

type Pixels = Tensor<'uint8'>;

/** Milliseconds that a frame of an animation is shown, and that its first and last are. */
const FRAME = 100;
const END = 600;

/** Images [N, H, W, C] as one PNG, side by side; the pixels are kept exactly. */
export function toPng(images: Pixels): Promise<Buffer> {
  const [count, height, width, channels] = images.dims as [number, number, number, 1 | 3];
  const image = sharp(sideBySide(images), { raw: { width: count * width, height, channels } });
  return (channels === 1 ? image.toColourspace('b-w') : image).png().toBuffer();
}

/** Images [N, H, W, C] as an animated GIF in an endless loop; grey pixels are kept exactly. */
export function toGif({ dims, data }: Pixels): Promise<Buffer> {
  const [count, height, width, channels] = dims as [number, number, number, 1 | 3];
  const delay = Array.from({ length: count }, (_, i) => (i === 0 || i === count - 1 ? END : FRAME));
  const rgb = channels === 3 ? data : Uint8Array.from({ length: data.length * 3 }, (_, i) => data[Math.floor(i / 3)]!);
  // By default, similar colours are merged to save bytes.
  const exact = { dither: 0, interFrameMaxError: 0, interPaletteMaxError: 0, keepDuplicateFrames: true };
  return sharp(rgb, { raw: { width, height: count * height, channels: 3, pageHeight: height } })
    .gif({ delay, loop: 0, ...exact })
    .toBuffer();
}

function sideBySide({ dims, data }: Pixels): Uint8Array {
  const [count, height, width, channels] = dims as [number, number, number, number];
  const row = width * channels;
  const out = new Uint8Array(data.length);
  for (let n = 0; n < count; n++) {
    for (let y = 0; y < height; y++) {
      const from = (n * height + y) * row;
      out.set(data.subarray(from, from + row), (y * count + n) * row);
    }
  }
  return out;
}

import { type Tensor, tensor } from '../../export/graph/tensor.js';

/** Images [N, H, W, C] with `scale` × `scale` pixels in place of each: [N, scale · H, scale · W, C]. */
export function repeated({ dims, data }: Tensor<'uint8'>, scale: number): Tensor<'uint8'> {
  const [count, height, width, channels] = dims as [number, number, number, number];
  const row = scale * width * channels;
  const out = new Uint8Array(count * height * scale * row);
  for (let y = 0; y < count * height; y++) {
    const first = y * scale * row;
    for (let i = 0; i < row; i++) {
      const x = Math.floor(i / channels / scale);
      out[first + i] = data[(y * width + x) * channels + (i % channels)]!;
    }
    for (let copy = 1; copy < scale; copy++) out.copyWithin(first + copy * row, first, first + row);
  }
  return tensor('uint8', [count, scale * height, scale * width, channels], out);
}

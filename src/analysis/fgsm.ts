import { type Tensor, tensor } from '../../export/graph/tensor.js';
import type { Passes } from './passes.js';

/** The sign of the gradient of the cross-entropy for each 8-bit pixel, int8 [N, H, W, C]. */
export async function gradientSigns(
  { network, prepare, gradient }: Passes,
  pixels: Tensor<'uint8'>,
  labels: ArrayLike<number>,
): Promise<Tensor<'int8'>> {
  const g = await gradient(await prepare(pixels), labels);
  const [count, height, width, channels] = pixels.dims as [number, number, number, number];
  const { padding } = network.input;
  const [rows, columns] = g.dims.slice(2) as [number, number];
  const signs = new Int8Array(pixels.data.length);
  let at = 0;
  for (let n = 0; n < count; n++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let c = 0; c < channels; c++)
          signs[at++] = Math.sign(g.data[((n * channels + c) * rows + y + padding) * columns + x + padding]!);
  return tensor('int8', pixels.dims, signs);
}

/** Pixels moved by `strength` grey levels along signs, and clipped. Goodfellow, Shlens, Szegedy 2015. */
export function moved(pixels: Tensor<'uint8'>, signs: Tensor<'int8'>, strength: number): Tensor<'uint8'> {
  const data = pixels.data.map((v, i) => Math.min(255, Math.max(0, Math.round(v + strength * signs.data[i]!))));
  return tensor('uint8', pixels.dims, data);
}

import { type Pixels, rgba } from './arrays.js';

/** Pixels as a PNG file. */
export async function pngOf(pixels: Pixels): Promise<Blob> {
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext('2d')!.putImageData(rgba(pixels), 0, 0);
  return canvas.convertToBlob({ type: 'image/png' });
}

/** Has the browser save a file. */
export function saveFile(file: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

export const saveCanvas = async (pixels: Pixels, name: string): Promise<void> => saveFile(await pngOf(pixels), name);

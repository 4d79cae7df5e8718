import { type Content, DatasetError } from '../dataset.js';

/** Images of CIFAR: 32 × 32 in colour, stored as three planes. */
export const SIDE = 32;
export const IMAGE_BYTES = 3 * SIDE * SIDE;

/** Where one image and its label lie. */
export interface PlanarImage {
  readonly label: number;
  readonly bytes: Uint8Array;
  readonly from: number;
}

/** Gathers images from planes, [3, 32, 32] each, into pixels [N, 32, 32, 3]. */
export function fromPlanes(planar: readonly PlanarImage[]): Content {
  const count = planar.length;
  const pixels = new Uint8Array(count * IMAGE_BYTES);
  const plane = SIDE * SIDE;
  for (const [n, { bytes, from }] of planar.entries()) {
    for (let c = 0; c < 3; c++) {
      for (let i = 0; i < plane; i++) pixels[n * IMAGE_BYTES + 3 * i + c] = bytes[from + c * plane + i]!;
    }
  }
  const labels = Uint16Array.from(planar, ({ label }) => label);
  return { kind: 'pixels', labels, images: { count, height: SIDE, width: SIDE, channels: 3, pixels, labels } };
}

/** Labels of CIFAR-10, for copies without the file that names them. */
export const CIFAR_10 = 'airplane automobile bird cat deer dog frog horse ship truck'.split(' ');

/** The names in the file of CIFAR that lists them, one a line. */
export const namesIn = (text: string): string[] => text.split(/\r?\n/).filter((line) => line.trim() !== '');

/** The training batches of CIFAR-10, of which none may be missing. @throws DatasetError */
export function allBatches(path: string, found: readonly string[], wanted: readonly string[]): void {
  const missing = wanted.filter((name) => !found.includes(name));
  if (missing.length === 0 || missing.length === wanted.length) return;
  throw new DatasetError(
    `${path} lacks ${missing.join(', ')} of the training batches. Copy or download the data set again`,
  );
}

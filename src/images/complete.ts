import type { ImageType } from './sniff.js';

/** Where a container's own structure tells that its end is missing. What it cannot tell, the decoder notices. */
const cutShort: Partial<Record<ImageType, (view: DataView) => boolean>> = {
  png: (view) => !pngEnds(view),
  webp: (view) => view.byteLength < 12 || view.getUint32(4, true) + 8 > view.byteLength,
  tiff: (view) => tiffReach(view) > view.byteLength,
};

/** Says whether the end of an image file is missing. */
export function isCutShort(type: ImageType, bytes: Uint8Array): boolean {
  return cutShort[type]?.(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)) ?? false;
}

const IEND = 0x49454e44;

/** Walks the chunks (length, type, data, CRC) up to IEND. https://www.w3.org/TR/png-3/#5Chunk-layout */
function pngEnds(view: DataView): boolean {
  let at = 8;
  while (at + 12 <= view.byteLength) {
    if (view.getUint32(at + 4) === IEND) return true;
    at += 12 + view.getUint32(at);
  }
  return false;
}

const WIDTHS = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];

/** How many bytes the first directory of a TIFF refers to: itself, and values too long to lie in it. TIFF 6.0, section 2 */
function tiffReach(view: DataView): number {
  if (view.byteLength < 8) return 8;
  const little = view.getUint8(0) === 0x49;
  const start = view.getUint32(4, little);
  if (start + 2 > view.byteLength) return start + 2;
  const count = view.getUint16(start, little);
  const end = start + 2 + 12 * count;
  let reach = end;
  for (let at = start + 2; at + 12 <= Math.min(end, view.byteLength); at += 12) {
    const size = (WIDTHS[view.getUint16(at + 2, little)] ?? 1) * view.getUint32(at + 4, little);
    if (size > 4) reach = Math.max(reach, view.getUint32(at + 8, little) + size);
  }
  return reach;
}

import type { ImageType } from './sniff.js';

/** Where a container's own structure tells that its end is missing. What it cannot tell, the decoder notices. */
const cutShort: Partial<Record<ImageType, (view: DataView) => boolean>> = {
  png: (view) => !pngEnds(view),
  webp: (view) => view.byteLength < 12 || view.getUint32(4, true) + 8 > view.byteLength,
  tiff: (view) => view.byteLength < 8 || view.getUint32(4, view.getUint8(0) === 0x49) >= view.byteLength,
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

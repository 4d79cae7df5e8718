/** Image types that are read. */
export type ImageType = 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff' | 'avif';

/** The type of a file by its first bytes: one that is read, another known one, or undefined. */
export type Sniffed = { readonly read: ImageType } | { readonly refused: string } | undefined;

const text = (bytes: Uint8Array, start: number, end: number): string =>
  String.fromCharCode(...bytes.subarray(start, end));
const starts =
  (...prefixes: string[]) =>
  (bytes: Uint8Array) =>
    prefixes.some((p) => beginsWith(bytes, p));
function beginsWith(bytes: Uint8Array, prefix: string): boolean {
  for (let i = 0; i < prefix.length; i++) if (bytes[i] !== prefix.charCodeAt(i)) return false;
  return true;
}
const brands = (bytes: Uint8Array): string => (text(bytes, 4, 8) === 'ftyp' ? text(bytes, 8, 40) : '');

const signatures: readonly (readonly [Sniffed, (bytes: Uint8Array) => boolean])[] = [
  [{ read: 'jpeg' }, starts('\xff\xd8\xff')],
  [{ read: 'png' }, starts('\x89PNG\r\n\x1a\n')],
  [{ read: 'gif' }, starts('GIF87a', 'GIF89a')],
  [{ read: 'webp' }, (b) => text(b, 0, 4) === 'RIFF' && text(b, 8, 12) === 'WEBP'],
  [{ read: 'tiff' }, starts('II*\0', 'MM\0*', 'II+\0', 'MM\0+')],
  [{ read: 'avif' }, (b) => /avi[fs]/.test(brands(b))],
  [{ refused: 'HEIC' }, (b) => /hei[cxms]|hev[cx]|mif1|msf1/.test(brands(b))],
  [{ refused: 'JPEG XL' }, starts('\xff\x0a', '\0\0\0\x0cJXL ')],
  [{ refused: 'JPEG 2000' }, starts('\0\0\0\x0cjP  ', '\xff\x4f\xff\x51')],
  [{ refused: 'gzip' }, starts('\x1f\x8b')],
  [{ refused: 'ZIP' }, starts('PK\x03\x04')],
  [{ refused: 'Photoshop' }, starts('8BPS')],
  [{ refused: 'PDF' }, starts('%PDF')],
  [{ refused: 'BMP' }, (b) => text(b, 0, 2) === 'BM' && b.length > 26 && text(b, 6, 10) === '\0\0\0\0'],
  [{ refused: 'icon' }, starts('\0\0\x01\0')],
  [{ refused: 'SVG' }, (b) => /^(\xef\xbb\xbf)?\s*<(\?xml|svg|!DOCTYPE svg)/i.test(text(b, 0, 256))],
];

/** Finds the type of an image by its content. File names and declared media types are ignored. */
export const sniff = (bytes: Uint8Array): Sniffed => signatures.find(([, matches]) => matches(bytes))?.[0];

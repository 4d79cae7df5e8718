import type { Tensor } from '../graph/tensor.js';
import { FormatError } from './errors.js';
import { readFeatures } from './features.js';
import { readJson } from './json.js';
import { isNpy, readNpy } from './npy.js';
import { isSafetensors } from './safetensors.js';

interface Reader {
  recognises(bytes: Uint8Array): boolean;
  read(bytes: Uint8Array): Tensor<'float32'>;
}

/** Bytes within which JSON must begin. */
const BEGINNING = 1024;
const [BRACE, BRACKET] = [0x7b, 0x5b];
/** Bytes of the byte order marks of UTF-8 and UTF-16, which may precede JSON. */
const MARK = [0xef, 0xbb, 0xbf, 0xfe, 0xff];

const isJson = (bytes: Uint8Array): boolean =>
  [BRACE, BRACKET].includes(bytes.subarray(0, BEGINNING).find((b) => b > 0x20 && !MARK.includes(b)) ?? 0);

/** Formats in the order in which they are tried. The content decides; declared media types do not. */
const readers: readonly Reader[] = [
  { recognises: isNpy, read: readNpy },
  { recognises: isSafetensors, read: readFeatures },
  { recognises: isJson, read: readJson },
];

/** Files that are not read, by their first bytes. */
const OTHERS = [
  ['PK\x03\x04', 'a ZIP archive, such as .npz; expected the .npy file in it'],
  ['\x1f\x8b', 'compressed by gzip; expected the file as it was'],
  ['\x89HDF', 'HDF5; expected .npy, safetensors or JSON'],
] as const;

/**
 * Reads an array from .npy, safetensors or JSON.
 * @throws FormatError empty, and as the readers
 */
export function readTensor(bytes: Uint8Array): Tensor<'float32'> {
  if (bytes.length === 0) throw new FormatError('empty', 'the features file is empty');
  const reader = readers.find((r) => r.recognises(bytes));
  if (!reader) {
    const other = OTHERS.find(([start]) => Buffer.from(start, 'latin1').equals(bytes.subarray(0, start.length)));
    const are = other ? `are ${other[1]}` : 'are neither .npy, safetensors nor JSON';
    throw new FormatError('malformed', `the ${bytes.length} bytes received ${are}`);
  }
  // `slice` of a Buffer shares memory, `slice` of a Uint8Array copies: the readers expect the latter.
  return reader.read(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

/** Checks that every number is finite. @throws FormatError nan, infinite */
export function checkFinite(data: Float32Array): void {
  const wrong = data.findIndex((v) => !Number.isFinite(v));
  if (wrong < 0) return;
  const value = data[wrong];
  if (Number.isNaN(value)) throw new FormatError('nan', `number ${wrong} of the features is NaN`);
  throw new FormatError('infinite', `number ${wrong} of the features is ${value}, or too large for float32`);
}

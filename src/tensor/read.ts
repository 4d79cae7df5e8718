import type { Tensor } from '../../export/graph/tensor.js';
import { Problem } from '../common/problems.js';
import { readJson } from './json.js';
import { isNpy, readNpy } from './npy.js';
import { readFeatures as readSafetensorsFeatures } from './safetensors.js';

interface Reader {
  recognises(bytes: Uint8Array): boolean;
  read(bytes: Uint8Array): Tensor<'float32'>;
}

/** Bytes within which JSON begins. */
const BEGINNING = 1024;

const firstPrinting = (bytes: Uint8Array): number | undefined => bytes.subarray(0, BEGINNING).find((b) => b > 0x20);
const BRACE = 0x7b;
const BRACKET = 0x5b;

/** Formats by their content, in the order in which they are tried. Declared types are not looked at. */
const readers: readonly Reader[] = [
  { recognises: isNpy, read: readNpy },
  // An eight-byte length comes before the header's brace.
  { recognises: (bytes) => bytes.length > 8 && bytes[8] === BRACE && bytes[7] === 0, read: readSafetensorsFeatures },
  { recognises: (bytes) => [BRACE, BRACKET].includes(firstPrinting(bytes) ?? 0), read: readJson },
];

/**
 * Reads features from .npy, safetensors or JSON.
 * @throws Problem body-empty, features-…
 */
export function readTensor(bytes: Uint8Array): Tensor<'float32'> {
  if (bytes.length === 0) throw new Problem('body-empty', 'the features file is empty');
  const reader = readers.find((r) => r.recognises(bytes));
  if (!reader)
    throw new Problem(
      'features-malformed',
      `the ${bytes.length} bytes received are neither .npy, safetensors nor JSON`,
    );
  // A Buffer's slice shares its memory where an array's copies: readers get the plain kind.
  return reader.read(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

/**
 * Checks that a tensor is a batch of features: [N, C, H, W] with the model's C, H, W, N from 1 to `maxImages`, finite.
 * @throws Problem features-rank, features-shape, too-many-images, features-nan, features-infinite
 */
export function checkFeatures({ dims, data }: Tensor<'float32'>, shape: readonly number[], maxImages: number): void {
  const found = `the features have shape [${dims.join(', ')}]`;
  const expected = `expected [N, ${shape.join(', ')}]`;
  if (dims.length !== shape.length + 1) throw new Problem('features-rank', `${found}; ${expected}`);
  if (dims[0] === 0 || shape.some((size, i) => size !== dims[i + 1]))
    throw new Problem('features-shape', `${found}; ${expected}`);
  if (dims[0]! > maxImages) throw new Problem('too-many-images', `${found}; at most ${maxImages} are decoded at once`);
  for (let i = 0; i < data.length; i++) {
    const v = data[i]!;
    if (Number.isFinite(v)) continue;
    if (Number.isNaN(v)) throw new Problem('features-nan', `number ${i} of the features is NaN`);
    throw new Problem('features-infinite', `number ${i} of the features is ${v}, or too large for float32`);
  }
}

import type { Chunks } from '../files/write.js';
import type { Tensor } from '../graph/tensor.js';
import { FormatError } from './errors.js';
import {
  byteWidths,
  checkEntry,
  checkLayout,
  headerLength,
  parseHeader,
  readSafetensors,
  writeSafetensors,
} from './safetensors.js';
import { checkShape } from './shape.js';

/** The name under which features are written and looked for. */
const NAME = 'features';

/** Most bytes of the header of an upload; one that describes features has some hundred. */
const HEADER_LIMIT = 65536;

/** Bytes at the start of a file that contain its header. */
export const SAFETENSORS_BEGINNING = 8 + HEADER_LIMIT;

/** Most characters of a name, and of a reason, that an error repeats. */
const [NAME_SHOWN, REASON_SHOWN] = [64, 200];

/** Writes features [N, C, H, W] as safetensors. */
export const writeFeatures = (features: Tensor<'float32'>, metadata: Record<string, string>): Chunks =>
  writeSafetensors({ tensors: new Map([[NAME, features]]), metadata });

/**
 * Reads the tensor "features" of a safetensors file, or its only tensor.
 * @throws FormatError name, malformed, rank, dtype, length
 */
export function readFeatures(bytes: Uint8Array): Tensor<'float32'> {
  const { tensors } = explained(() => {
    limitedLength(bytes, bytes.length);
    return readSafetensors(bytes);
  });
  const tensor = tensors.get(nameAmong([...tensors.keys()]))!;
  if (tensor.type !== 'float32') {
    throw new FormatError('dtype', `the tensor is ${tensor.type}; expected float32 (F32)`);
  }
  checkShape(tensor.dims);
  return tensor as Tensor<'float32'>;
}

/**
 * Finds the features of a file too large to be read at once.
 * @param beginning the first `SAFETENSORS_BEGINNING` bytes, or all
 * @param size bytes of the whole file
 * @returns their shape, and the byte of the file at which they start
 * @throws FormatError as `readFeatures`
 */
export function locateFeatures(beginning: Uint8Array, size: number): { shape: number[]; start: number } {
  const { from, places } = explained(() => {
    const from = 8 + limitedLength(beginning, size);
    const { entries } = parseHeader(beginning.subarray(8, from));
    const places = entries.map(([name, entry]) => ({ name, ...checkEntry(name, entry, byteWidths, size - from) }));
    checkLayout(places, size - from);
    return { from, places };
  });
  const name = nameAmong(places.map((place) => place.name));
  const { dtype, dims, start } = places.find((place) => place.name === name)!;
  if (dtype !== 'F32') throw new FormatError('dtype', `the tensor is ${dtype}; expected float32 (F32)`);
  checkShape(dims);
  return { shape: dims, start: from + start };
}

function limitedLength(beginning: Uint8Array, size: number): number {
  const length = headerLength(beginning, size);
  if (length > HEADER_LIMIT) throw new FormatError('malformed', `the header has ${length} bytes`);
  return length;
}

/** @throws FormatError name */
function nameAmong(names: readonly string[]): string {
  if (names.includes(NAME)) return NAME;
  if (names.length === 1) return names[0]!;
  const shown = names.map((name) => name.slice(0, NAME_SHOWN)).slice(0, 5);
  throw new FormatError(
    'name',
    `expected a tensor named "${NAME}" in the safetensors file; it has: ${shown.join(', ') || 'none'}`,
  );
}

/** Names the format in the errors of the container, and shortens them: they repeat what the header says. */
function explained<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const reason = error.message.slice(0, REASON_SHOWN);
    throw new FormatError(error.problem, `the safetensors file cannot be read: ${reason}`, { cause: error });
  }
}

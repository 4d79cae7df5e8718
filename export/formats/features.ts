import type { Chunks } from '../files/write.js';
import { sizeOf, type Tensor } from '../graph/tensor.js';
import { FormatError } from './errors.js';
import { floatsIn } from './floats.js';
import { checkEntry, checkLayout, checkSpan, headerLength, parseHeader, writeSafetensors } from './safetensors.js';
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
 * Reads the tensor "features" of a safetensors file, or its only tensor. It lies in the file's own memory where that is
 * aligned.
 * @throws FormatError name, malformed, rank, dtype, length
 */
export function readFeatures(bytes: Uint8Array): Tensor<'float32'> {
  const { shape, start } = locateFeatures(bytes, bytes.length);
  return { type: 'float32', dims: shape, data: floatsIn(bytes.subarray(start, start + 4 * sizeOf(shape))) };
}

/**
 * Finds the features of a file too large to be read at once. Of its other tensors, only where they lie is checked.
 * @param beginning the first `SAFETENSORS_BEGINNING` bytes, or all
 * @param size bytes of the whole file
 * @returns their shape, and the byte of the file at which they start
 * @throws FormatError as `readFeatures`
 */
export function locateFeatures(beginning: Uint8Array, size: number): { shape: number[]; start: number } {
  const { from, entries } = explained(() => {
    const from = 8 + limitedLength(beginning, size);
    return { from, ...parseHeader(beginning.subarray(8, from)) };
  });
  const name = nameAmong(entries.map(([name]) => name));
  const { dims, start } = explained(() => {
    const available = size - from;
    const place = checkEntry(name, new Map(entries).get(name), { F32: 4 }, available);
    checkLayout(
      entries.map(([name, entry]) => ({ name, ...checkSpan(name, entry, available) })),
      available,
    );
    return place;
  });
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

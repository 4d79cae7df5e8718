import type { Chunks } from '../../export/files/write.js';
import {
  checkEntry,
  checkLayout,
  headerLength,
  parseHeader,
  readSafetensors,
  SafetensorsError,
  widths,
  writeSafetensors,
} from '../../export/formats/safetensors.js';
import type { Tensor } from '../../export/graph/tensor.js';
import { Problem, type ProblemCode } from '../common/problems.js';
import { checkShape } from './shape.js';

/** The name under which features are written and looked for. */
const NAME = 'features';

/** Bytes that the header of an upload may have; one that describes features has some hundred. */
const HEADER_LIMIT = 65536;

/** Characters of a name, and of what is wrong with a file, that an error repeats. */
const [NAME_SHOWN, REASON_SHOWN] = [64, 200];

const codes: Record<SafetensorsError['problem'], ProblemCode> = {
  truncated: 'features-length',
  header: 'features-malformed',
  dtype: 'features-dtype',
  shape: 'features-malformed',
  layout: 'features-length',
};

export const writeFeatures = (features: Tensor<'float32'>, metadata: Record<string, string>): Chunks =>
  writeSafetensors({ tensors: new Map([[NAME, features]]), metadata });

/**
 * Reads the tensor "features", or the only one.
 * @throws Problem features-name, features-malformed, features-rank, features-dtype, features-length
 */
export function readFeatures(bytes: Uint8Array): Tensor<'float32'> {
  const { tensors } = explained(() => {
    limitedLength(bytes, bytes.length);
    return readSafetensors(bytes);
  });
  const tensor = tensors.get(nameAmong([...tensors.keys()]))!;
  if (tensor.type !== 'float32')
    throw new Problem('features-dtype', `the tensor is ${tensor.type}; expected float32 (F32)`);
  checkShape(tensor.dims);
  return tensor as Tensor<'float32'>;
}

/** Bytes of a file that hold its header. */
export const SAFETENSORS_BEGINNING = 8 + HEADER_LIMIT;

/**
 * Where the features of a file lie, counted from its start in bytes, and their shape.
 * @param beginning the first `SAFETENSORS_BEGINNING` bytes, or all
 * @param size bytes of the whole file
 * @throws Problem as `readFeatures`
 */
export function locateFeatures(beginning: Uint8Array, size: number): { shape: number[]; start: number } {
  const { name, places } = explained(() => {
    const from = 8 + limitedLength(beginning, size);
    const { entries } = parseHeader(beginning.subarray(8, from));
    const name = nameAmong(entries.map(([name]) => name));
    const places = entries.map(([name, entry]) => ({ name, from, ...checkEntry(name, entry, widths, size - from) }));
    checkLayout(places, size - from);
    return { name, places };
  });
  const { dtype, dims, from, start } = places.find((place) => place.name === name)!;
  if (dtype !== 'F32') throw new Problem('features-dtype', `the tensor is ${dtype}; expected float32 (F32)`);
  checkShape(dims);
  return { shape: dims, start: from + start };
}

function limitedLength(beginning: Uint8Array, size: number): number {
  const length = headerLength(beginning, size);
  if (length > HEADER_LIMIT) throw new SafetensorsError('header', `the header has ${length} bytes`);
  return length;
}

/** @throws Problem features-name */
function nameAmong(names: readonly string[]): string {
  if (names.includes(NAME)) return NAME;
  if (names.length === 1) return names[0]!;
  const shown = names.map((name) => name.slice(0, NAME_SHOWN)).slice(0, 5);
  throw new Problem(
    'features-name',
    `expected a tensor named "${NAME}" in the safetensors file; it has: ${shown.join(', ') || 'none'}`,
  );
}

function explained<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error;
    const reason = error.message.slice(0, REASON_SHOWN);
    throw new Problem(codes[error.problem], `the safetensors file cannot be read: ${reason}`, { cause: error });
  }
}

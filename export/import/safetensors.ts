import { FormatError } from '../formats/errors.js';
import { CheckpointFileError, COPY_AGAIN } from '../formats/pickle/errors.js';
import type { Source } from '../formats/pickle/source.js';
import { checkEntry, checkLayout, headerLength, parseHeader } from '../formats/safetensors.js';
import { sizeOf } from '../graph/tensor.js';
import { elementTypes } from './elements.js';
import { type StoredTensor, storedTensor } from './strided.js';

/** Element types of the format and PyTorch's names for them. */
const types = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F8_E4M3: 'float8_e4m3fn',
  F8_E5M2: 'float8_e5m2',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U64: 'uint64',
  U32: 'uint32',
  U16: 'uint16',
  U8: 'uint8',
  BOOL: 'bool',
} as const;
type Code = keyof typeof types;

const widths = Object.fromEntries(
  Object.entries(types).map(([code, type]) => [code, elementTypes[type]!.width]),
) as Record<Code, number>;

/**
 * The tensors of a safetensors file of any size; each is read when it is asked for.
 * @throws CheckpointFileError when the header does not fit the file, or tensors overlap or leave gaps
 */
export function readSafetensorsFile(source: Source): Map<string, StoredTensor> {
  try {
    return tensorsOf(source);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new CheckpointFileError(source.path, `a broken safetensors file: ${error.message}. ${COPY_AGAIN}`);
  }
}

function tensorsOf(source: Source): Map<string, StoredTensor> {
  const length = headerLength(source.read(0, Math.min(8, source.size)), source.size);
  const { entries } = parseHeader(source.read(8, length));
  const from = 8 + length;
  const places = entries.map(([name, entry]) => ({ name, ...checkEntry(name, entry, widths, source.size - from) }));
  checkLayout(places, source.size - from);
  return new Map(
    places.map(({ name, dtype, dims, start }) => {
      const stored = storedTensor({
        path: source.path,
        what: `tensor ${name}`,
        dtype: types[dtype],
        dims,
        strides: dims.map((_, axis) => sizeOf(dims.slice(axis + 1))),
        offset: 0,
        available: sizeOf(dims),
        bytes: async (offset, size) => source.read(from + start + offset, size),
      });
      return [name, stored];
    }),
  );
}

import type { Chunks } from '../files/write.js';
import { bytesOf, sizeOf, type Tensor, transposed } from '../graph/tensor.js';
import { FormatError } from './errors.js';
import { floatsIn } from './floats.js';
import { readPython } from './python.js';
import { checkShape } from './shape.js';

const MAGIC = '\x93NUMPY';
const ALIGNMENT = 64;
/** Bytes that a header may have; NumPy writes some 120, and longer ones for records alone. */
const HEADER_LIMIT = 65536;
/** Bytes of a file that hold its header. */
export const NPY_BEGINNING = HEADER_LIMIT + 12;

/** Tells the format by its first bytes. */
export const isNpy = (bytes: Uint8Array): boolean => String.fromCharCode(...bytes.subarray(0, MAGIC.length)) === MAGIC;

/** Writes a float32 tensor: the header, then the tensor's own memory, not a copy. */
export const writeNpy = (tensor: Tensor<'float32'>): Chunks => [npyHeader(tensor.dims), bytesOf(tensor)];

/**
 * What comes before the data of a float32 array in C order.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
export function npyHeader(dims: readonly number[]): Uint8Array {
  const shape = dims.map((d) => `${d},`).join(' ');
  const dictionary = `{'descr': '<f4', 'fortran_order': False, 'shape': (${dims.length > 1 ? shape.slice(0, -1) : shape}), }`;
  const length = Math.ceil((10 + dictionary.length + 1) / ALIGNMENT) * ALIGNMENT;
  const header = Buffer.from(`${MAGIC}\x01\x00\0\0${dictionary.padEnd(length - 11)}\n`, 'latin1');
  header.writeUInt16LE(length - 10, 8);
  return header;
}

/** What a header says, and where the data begins. */
interface Header {
  readonly descr: string;
  readonly fortran: boolean;
  readonly shape: number[];
  readonly end: number;
}

/**
 * Reads a little-endian float32 array, in C or Fortran order. It lies in the file's own memory where that is aligned.
 * @throws FormatError malformed, rank, dtype, byte-order, length
 */
export function readNpy(bytes: Uint8Array): Tensor<'float32'> {
  const { fortran, shape, end } = locateNpy(bytes, bytes.length);
  const data = floatsIn(bytes.subarray(end));
  if (!fortran) return { type: 'float32', dims: shape, data };
  const axes = shape.map((_, i) => shape.length - 1 - i);
  return transposed({ type: 'float32', dims: [...shape].reverse(), data }, axes);
}

/**
 * Where the data of a file lies, and what it is.
 * @param beginning the first `NPY_BEGINNING` bytes, or all
 * @param size bytes of the whole file
 * @throws FormatError as `readNpy`
 */
export function locateNpy(beginning: Uint8Array, size: number): Omit<Header, 'descr'> {
  const { descr, fortran, shape, end } = readHeader(beginning);
  checkType(descr);
  checkShape(shape);
  const [expected, found] = [sizeOf(shape) * 4, size - end];
  if (expected !== found) {
    throw new FormatError(
      'length',
      `shape [${shape}] of float32 takes ${expected} bytes, but ${found} follow the .npy header`,
    );
  }
  return { fortran, shape, end };
}

/** NumPy's names of float32: with no byte order, that of the machine, little-endian or big-endian. */
const FLOAT32 = /^(?:([<>=|]?)f4?|float32|single)$/;

function checkType(descr: string): void {
  const [known, order] = FLOAT32.exec(descr) ?? [];
  if (order === '>') throw new FormatError('byte-order', `the .npy file is big-endian ("${descr}")`);
  if (known !== undefined) return;
  throw new FormatError('dtype', `the .npy file holds "${descr.slice(0, 64)}"; expected float32 ("<f4")`);
}

function readHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes[6];
  if (!isNpy(bytes) || bytes.length < 12 || !(version === 1 || version === 2 || version === 3)) {
    throw new FormatError('malformed', 'the .npy file has no valid beginning');
  }
  const start = version === 1 ? 10 : 12;
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > HEADER_LIMIT) throw new FormatError('malformed', `the .npy header claims ${length} bytes`);
  const end = start + length;
  if (end > bytes.length) {
    throw new FormatError('length', `the .npy file ends inside its header, after ${bytes.length} bytes`);
  }
  return { ...readDictionary(new TextDecoder('latin1').decode(bytes.subarray(start, end))), end };
}

function readDictionary(text: string): Omit<Header, 'end'> {
  const { descr, fortran_order: fortran, shape, ...others } = dictionaryIn(text);
  if (Object.keys(others).length > 0) throw new FormatError('malformed', 'the .npy header has more than three entries');
  if (typeof fortran !== 'boolean' || !Array.isArray(shape) || !shape.every((size) => typeof size === 'number')) {
    throw new FormatError('malformed', 'the .npy header lacks its order or shape');
  }
  if (typeof descr !== 'string') throw new FormatError('dtype', 'the .npy file holds records, not plain numbers');
  return { descr, fortran, shape };
}

function dictionaryIn(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(readPython(text)) as Record<string, unknown>;
  } catch (cause) {
    throw new FormatError('malformed', 'the .npy header is not a dictionary as NumPy writes it', { cause });
  }
}

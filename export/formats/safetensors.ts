import type { Chunks } from '../files/write.js';
import { bytesOf, type DType, fromBytes, sizeOf, type Tensor } from '../graph/tensor.js';
import { FormatError } from './errors.js';
import { scanJson } from './json.js';
import { isShape } from './shape.js';

/** The element types that are read and written, by the format's own names. */
const types = {
  F32: 'float32',
  I8: 'int8',
  I32: 'int32',
  I64: 'int64',
  U8: 'uint8',
  BOOL: 'bool',
} as const satisfies Record<string, DType>;
/** Bytes of an element. */
const byteWidths = { F32: 4, I8: 1, I32: 4, I64: 8, U8: 1, BOOL: 1 } as const;
type Code = keyof typeof types;

/** Whether a file begins like safetensors: a length of 8 bytes comes before the brace of the header. */
export const isSafetensors = (bytes: Uint8Array): boolean => bytes.length > 8 && bytes[8] === BRACE && bytes[7] === 0;
const BRACE = 0x7b;

export interface Safetensors {
  readonly tensors: Map<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Writes tensors in the given order: the header, then the memory of each, not a copy. */
export function writeSafetensors({ tensors, metadata }: Safetensors): Chunks {
  const codes = Object.fromEntries(Object.entries(types).map(([code, type]) => [type, code]));
  const described = [...tensors].map(([name, t]) => ({
    name,
    dtype: codes[t.type]!,
    shape: t.dims,
    bytes: t.data.byteLength,
  }));
  return [...safetensorsHeader(described, metadata), ...[...tensors.values()].map(bytesOf)];
}

/** A tensor that is to be written, by the format's own name of its type. */
export interface Described {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/**
 * What comes before the data of tensors, which then lie one after the other.
 * https://github.com/huggingface/safetensors#format
 */
export function safetensorsHeader(tensors: readonly Described[], metadata: Readonly<Record<string, string>>): Chunks {
  let at = 0;
  const entries = tensors.map(({ name, dtype, shape, bytes }) => {
    const entry = { dtype, shape, data_offsets: [at, at + bytes] };
    at += bytes;
    return [name, entry] as const;
  });
  const json = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) });
  const header = new TextEncoder().encode(json.padEnd(Math.ceil(new TextEncoder().encode(json).length / 8) * 8));
  const length = new Uint8Array(BigUint64Array.of(BigInt(header.length)).buffer);
  return [length, header];
}

const HEADER_LIMIT = 100e6;

/**
 * Reads tensors, trusting nothing in the header.
 * @throws FormatError saying what does not fit
 */
export function readSafetensors(bytes: Uint8Array): Safetensors {
  const length = headerLength(bytes, bytes.length);
  const { entries, metadata } = parseHeader(bytes.subarray(8, 8 + length));
  const data = bytes.subarray(8 + length);
  const places = entries.map(([name, entry]) => ({ name, ...checkEntry(name, entry, byteWidths, data.length) }));
  checkLayout(places, data.length);
  return { tensors: new Map(places.map((place) => [place.name, readTensor(place, data)])), metadata };
}

/**
 * The length of the header that follows the first 8 bytes.
 * @param start the first 8 bytes at least
 * @param size bytes of the whole file
 * @throws FormatError when the file cannot have such a header
 */
export function headerLength(start: Uint8Array, size: number): number {
  if (size < 8) throw new FormatError('length', `a safetensors file has at least 8 bytes, got ${size}`);
  const length = Number(new DataView(start.buffer, start.byteOffset).getBigUint64(0, true));
  if (length > HEADER_LIMIT) throw new FormatError('malformed', `the header claims ${length} bytes`);
  if (8 + length > size) {
    throw new FormatError('length', `the header claims ${length} bytes, ${size - 8} follow`);
  }
  return length;
}

/** Lists and objects in each other that a header has at most. */
const HEADER_DEPTH = 3;

/**
 * The header's tensors, as it describes them, and its metadata.
 * @throws FormatError when it is no JSON object, or has a name twice
 */
export function parseHeader(bytes: Uint8Array): {
  entries: [name: string, entry: unknown][];
  metadata: Record<string, string>;
} {
  const { depth, members } = scanJson(bytes);
  if (depth > HEADER_DEPTH) throw new FormatError('malformed', `the header is nested ${depth} deep`);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new FormatError('malformed', 'the header is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw new FormatError('malformed', 'the header is not a JSON object');
  }
  if (countMembers(header) !== members) throw new FormatError('malformed', 'the header has a name twice');
  const { __metadata__: metadata, ...entries } = header as Record<string, unknown>;
  if (!areTexts(metadata ?? {})) throw new FormatError('malformed', '__metadata__ does not map names to texts');
  return { entries: Object.entries(entries), metadata: (metadata ?? {}) as Record<string, string> };
}

const areTexts = (v: unknown): boolean =>
  typeof v === 'object' && !Array.isArray(v) && Object.values(v ?? {}).every((text) => typeof text === 'string');

/** Counts the members of all objects in a parsed value: fewer than its text has where a name is there twice. */
function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const inside = Object.values(value).reduce((sum: number, v) => sum + countMembers(v), 0);
  return inside + (Array.isArray(value) ? 0 : Object.keys(value).length);
}

/** Where a tensor lies; offsets are in bytes from the end of the header. */
export interface Place<C extends string> {
  readonly dtype: C;
  readonly dims: number[];
  readonly start: number;
  readonly end: number;
}

/**
 * What a header says of a tensor; offsets are in bytes from the end of the header.
 * @param byteWidths bytes of an element, by the element types that are read
 * @param available bytes that follow the header
 * @throws FormatError when it cannot be
 */
export function checkEntry<C extends string>(
  name: string,
  entry: unknown,
  byteWidths: Readonly<Record<C, number>>,
  available: number,
): Place<C> {
  const { dtype, shape } = (entry ?? {}) as Record<string, unknown>;
  if (typeof dtype !== 'string' || !Object.hasOwn(byteWidths, dtype)) {
    throw new FormatError(
      'dtype',
      `tensor ${name} is ${typeof dtype === 'string' ? dtype : typeof dtype}; expected one of ${Object.keys(byteWidths).join(', ')}`,
    );
  }
  if (!isShape(shape)) throw new FormatError('malformed', `tensor ${name} has no valid shape`);
  const { start, end } = checkSpan(name, entry, available);
  const size = sizeOf(shape) * byteWidths[dtype as C];
  if (!Number.isSafeInteger(size) || end - start !== size) {
    throw new FormatError('length', `tensor ${name}: [${shape}] takes ${size} bytes, offsets ${start} to ${end}`);
  }
  return { dtype: dtype as C, dims: shape, start, end };
}

/**
 * Where a header says that a tensor lies, whatever its type; in bytes from the end of the header.
 * @param available bytes that follow the header
 * @throws FormatError when it cannot lie there
 */
export function checkSpan(name: string, entry: unknown, available: number): Pick<Place<string>, 'start' | 'end'> {
  const { data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  if (!isShape(offsets) || offsets.length !== 2) {
    throw new FormatError('length', `tensor ${name} has no valid data_offsets`);
  }
  const [start, end] = offsets as [number, number];
  if (start > end || end > available) {
    throw new FormatError('length', `tensor ${name} has offsets ${start} to ${end} of ${available}`);
  }
  return { start, end };
}

/** @throws FormatError when tensors overlap, or leave gaps before, between or behind them */
export function checkLayout(
  places: readonly (Pick<Place<string>, 'start' | 'end'> & { readonly name: string })[],
  available: number,
): void {
  let at = 0;
  for (const { name, start, end } of [...places].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== at) throw new FormatError('length', `tensor ${name} starts at ${start}, expected ${at}`);
    at = end;
  }
  if (at !== available) {
    throw new FormatError('length', `tensors take ${at} bytes of the ${available} that follow`);
  }
}

/** The tensor's bytes are copied, so that they start where an element may start. */
const readTensor = ({ dtype, dims, start, end }: Place<Code>, data: Uint8Array): Tensor =>
  fromBytes(types[dtype], dims, new Uint8Array(data.subarray(start, end)));

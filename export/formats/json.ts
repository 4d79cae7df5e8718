import { sizeOf, type Tensor } from '../graph/tensor.js';
import { FormatError } from './errors.js';
import { checkShape, isShape } from './shape.js';

/** Most numbers of a tensor that is read or written as JSON: parsing and printing them block the thread. */
export const MAX_JSON_NUMBERS = 2 ** 20;

/** Most bytes of a JSON text that is parsed: what the most numbers take when each is printed with all its digits. */
const MAX_JSON_BYTES = 32 * MAX_JSON_NUMBERS;

/** `JSON.parse` takes some 60 bytes of memory for each open bracket: 20 MiB of them would take over 1 GiB. */
const MAX_DEPTH = 16;

/** A tensor as plain JSON: `data` is flat, in row-major order. */
export interface JsonTensor {
  shape: number[];
  data: number[];
}

/**
 * Converts a tensor for `JSON.stringify`, which prints the shortest decimals that read back as the same numbers.
 * @throws FormatError too-large
 */
export function toJson({ dims, data }: Tensor<'float32'> | Tensor<'uint8'>): JsonTensor {
  checkNumbers(data.length);
  return { shape: [...dims], data: Array.from(data) };
}

/** A value as the bytes of a JSON text. */
export const jsonBytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** Checks how many numbers a JSON text has, or would have. @throws FormatError too-large */
export function checkNumbers(numbers: number): void {
  if (numbers <= MAX_JSON_NUMBERS) return;
  throw new FormatError('too-large', `there are ${numbers} numbers; at most ${MAX_JSON_NUMBERS} go through JSON`);
}

/**
 * Parses JSON from a client, within limits of length and depth.
 * @throws FormatError too-large; SyntaxError
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length > MAX_JSON_BYTES) {
    throw new FormatError('too-large', `the JSON has ${bytes.length} bytes; at most ${MAX_JSON_BYTES} are read`);
  }
  const { depth } = scanJson(bytes);
  if (depth > MAX_DEPTH) throw new SyntaxError(`it is nested ${depth} deep; at most ${MAX_DEPTH} is read`);
  return JSON.parse(new TextDecoder().decode(bytes));
}

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];
const [BRACKET, BRACE, BRACKET_END, BRACE_END] = [0x5b, 0x7b, 0x5d, 0x7d];

/** Counts, without parsing a JSON text (UTF-8), how deep it is nested and how many members its objects have. */
export function scanJson(bytes: Uint8Array): { depth: number; members: number } {
  let [open, depth, members, inString] = [0, 0, 0, false];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) inString = !inString;
    else if (inString) i += byte === BACKSLASH ? 1 : 0;
    else if (byte === BRACKET || byte === BRACE) depth = Math.max(depth, ++open);
    else if (byte === BRACKET_END || byte === BRACE_END) open--;
    else if (byte === COLON) members++;
  }
  return { depth, members };
}

/**
 * Reads `{"shape": […], "data": […]}`; other members are ignored.
 * @throws FormatError malformed, rank, dtype, length, nan, infinite, too-large
 */
export function readJson(bytes: Uint8Array): Tensor<'float32'> {
  const { shape, data } = (parsed(bytes) ?? {}) as Partial<Record<keyof JsonTensor, unknown>>;
  if (!isShape(shape)) throw new FormatError('malformed', 'the JSON has no "shape" with whole numbers');
  checkShape(shape);
  if (!Array.isArray(data)) throw new FormatError('malformed', 'the JSON has no "data" with a flat list of numbers');
  checkNumbers(data.length);
  const wrong = data.findIndex((v) => typeof v !== 'number');
  if (wrong >= 0) {
    const problem = data[wrong] === null ? 'nan' : 'dtype';
    throw new FormatError(problem, `the entry data[${wrong}] is ${kindOf(data[wrong])}, not a number`);
  }
  if (sizeOf(shape) !== data.length) {
    throw new FormatError('length', `shape [${shape}] takes ${sizeOf(shape)} numbers, but "data" holds ${data.length}`);
  }
  return { type: 'float32', dims: shape, data: new Float32Array(data as number[]) };
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return parseJson(bytes);
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    // Some writers print NaN and Infinity, which JSON does not have.
    const word = /[[,:\s]-?(NaN|Infinity)\b/.exec(new TextDecoder().decode(bytes))?.[1];
    if (word) throw new FormatError(word === 'NaN' ? 'nan' : 'infinite', `the JSON contains ${word}`, { cause });
    throw new FormatError('malformed', 'the JSON cannot be parsed', { cause });
  }
}

const kindOf = (value: unknown): string => (Array.isArray(value) ? 'a list' : value === null ? 'null' : typeof value);

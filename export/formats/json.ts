import { decodeText, EncodingError } from '../files/text.js';
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
 * Parses JSON from a client (UTF-8, with or without a byte order mark), within limits of length and depth.
 * @throws FormatError too-large, malformed; SyntaxError
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length > MAX_JSON_BYTES) {
    throw new FormatError('too-large', `the JSON has ${bytes.length} bytes; at most ${MAX_JSON_BYTES} are read`);
  }
  const text = textOf(bytes);
  const { depth } = scanJson(bytes);
  if (depth > MAX_DEPTH) throw new SyntaxError(`it is nested ${depth} deep; at most ${MAX_DEPTH} is read`);
  return JSON.parse(text);
}

function textOf(bytes: Uint8Array): string {
  try {
    return decodeText(bytes, 'the JSON');
  } catch (cause) {
    if (!(cause instanceof EncodingError)) throw cause;
    throw new FormatError('malformed', cause.message, { cause });
  }
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
 * Reads `{"shape": […], "data": […]}`; other members are ignored. The data is a flat list, or lists in lists as NumPy's
 * `tolist()` gives them, which need no shape and no object around them.
 * @throws FormatError malformed, rank, dtype, length, nan, infinite, too-large
 */
export function readJson(bytes: Uint8Array): Tensor<'float32'> {
  const json = parsed(bytes);
  const { shape, data } = (Array.isArray(json) ? { data: json } : Object(json)) as Partial<Record<string, unknown>>;
  if (!Array.isArray(data)) throw new FormatError('malformed', 'the JSON has no "data" with a list of numbers');
  const lists = shapeOf(data);
  const dims = shape ?? (lists.length > 1 ? lists : undefined);
  if (!isShape(dims)) throw new FormatError('malformed', 'the JSON has no "shape" with whole numbers');
  checkShape(lists);
  checkShape(dims);
  checkNumbers(sizeOf(lists));
  const numbers = numbersIn(data, lists);
  if (lists.length > 1 ? `${dims}` !== `${lists}` : sizeOf(dims) !== numbers.length) {
    const held = lists.length > 1 ? `lists of shape [${lists}]` : `${numbers.length}`;
    throw new FormatError('length', `shape [${dims}] takes ${sizeOf(dims)} numbers, but "data" holds ${held}`);
  }
  return { type: 'float32', dims, data: new Float32Array(numbers) };
}

/** The lengths of lists in lists, by the first entry of each. */
const shapeOf = (list: readonly unknown[]): number[] => [
  list.length,
  ...(Array.isArray(list[0]) ? shapeOf(list[0]) : []),
];

/** The numbers in lists of this shape. @throws FormatError length, dtype, nan */
function numbersIn(data: readonly unknown[], lists: readonly number[]): number[] {
  const ragged = raggedAt(data, lists);
  if (ragged !== undefined) {
    throw new FormatError('length', `the list data${ragged} is not as long as the others of the shape [${lists}]`);
  }
  const numbers = data.flat(lists.length - 1);
  const wrong = numbers.findIndex((v) => typeof v !== 'number');
  if (wrong < 0) return numbers as number[];
  const problem = numbers[wrong] === null ? 'nan' : 'dtype';
  const where = lists.length > 1 ? `${wrong} of the data` : `data[${wrong}]`;
  throw new FormatError(problem, `the entry ${where} is ${kindOf(numbers[wrong])}, not a number`);
}

/** The place of the first value that is not a list of the length that its depth has; undefined where all are. */
function raggedAt(value: unknown, [size, ...inner]: readonly number[]): string | undefined {
  if (!Array.isArray(value) || value.length !== size) return '';
  if (inner.length === 0) return undefined;
  for (const [i, entry] of value.entries()) {
    const place = raggedAt(entry, inner);
    if (place !== undefined) return `[${i}]${place}`;
  }
  return undefined;
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

import { countJson } from '../../export/formats/json.js';
import { sizeOf, type Tensor } from '../../export/graph/tensor.js';
import { Problem } from '../common/problems.js';
import { checkShape } from './shape.js';

/** Numbers that a tensor may have where it is JSON, in or out: reading and writing them holds up everybody else. */
export const MAX_JSON_NUMBERS = 2 ** 20;

/** Bytes of a JSON text for each number it may have, and how deep it may be nested. */
const BYTES_PER_NUMBER = 32;
const MAX_DEPTH = 16;

/** A tensor as plain JSON: `data` is flat, row by row. */
export interface JsonTensor {
  shape: number[];
  data: number[];
}

/**
 * Shortest decimals that read back as the same numbers.
 * @throws Problem json-too-large
 */
export function toJson({ dims, data }: Tensor<'float32'> | Tensor<'uint8'>): JsonTensor {
  checkNumbers(data.length);
  const numbers = new Array<number>(data.length);
  for (let i = 0; i < numbers.length; i++) numbers[i] = data[i]!;
  return { shape: [...dims], data: numbers };
}

/** The bytes of a JSON text. */
export const jsonBytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** Refuses more numbers than one JSON text may have. @throws Problem json-too-large */
export function checkNumbers(numbers: number): void {
  if (numbers <= MAX_JSON_NUMBERS) return;
  throw new Problem('json-too-large', `there are ${numbers} numbers; at most ${MAX_JSON_NUMBERS} go through JSON`);
}

/**
 * Parses JSON that cannot take long.
 * @throws Problem json-too-large; SyntaxError
 */
export function parseJson(bytes: Uint8Array): unknown {
  const limit = BYTES_PER_NUMBER * MAX_JSON_NUMBERS;
  if (bytes.length > limit) {
    throw new Problem('json-too-large', `the JSON has ${bytes.length} bytes; at most ${limit} are read`);
  }
  const { depth, commas, members } = countJson(bytes);
  if (depth > MAX_DEPTH) throw new SyntaxError(`it is nested ${depth} deep; at most ${MAX_DEPTH} is read`);
  // Twice as many, so that it is the numbers alone that are counted to one.
  if (commas + members > 2 * MAX_JSON_NUMBERS) checkNumbers(commas + members);
  return JSON.parse(new TextDecoder().decode(bytes));
}

/**
 * Reads `{"shape": […], "data": […]}`; other members are ignored.
 * @throws Problem features-malformed, features-rank, features-dtype, features-length, features-nan, features-infinite,
 *   json-too-large
 */
export function readJson(bytes: Uint8Array): Tensor<'float32'> {
  const { shape, data } = (parsed(bytes) ?? {}) as Partial<Record<keyof JsonTensor, unknown>>;
  if (!isShape(shape)) throw new Problem('features-malformed', 'the JSON has no "shape" with whole numbers');
  checkShape(shape);
  if (!Array.isArray(data))
    throw new Problem('features-malformed', 'the JSON has no "data" with a flat list of numbers');
  checkNumbers(data.length);
  const wrong = data.findIndex((v) => typeof v !== 'number');
  if (wrong >= 0) {
    const code = data[wrong] === null ? 'features-nan' : 'features-dtype';
    throw new Problem(code, `the entry data[${wrong}] is ${kindOf(data[wrong])}, not a number`);
  }
  if (sizeOf(shape) !== data.length) {
    throw new Problem(
      'features-length',
      `shape [${shape}] takes ${sizeOf(shape)} numbers, but "data" holds ${data.length}`,
    );
  }
  return { type: 'float32', dims: shape, data: new Float32Array(data as number[]) };
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return parseJson(bytes);
  } catch (error) {
    if (error instanceof Problem) throw error;
    // Some writers put NaN and Infinity, which JSON does not have.
    const word = /[[,:\s]-?(NaN|Infinity)\b/.exec(new TextDecoder().decode(bytes))?.[1];
    if (word)
      throw new Problem(word === 'NaN' ? 'features-nan' : 'features-infinite', `the JSON contains ${word}`, {
        cause: error,
      });
    throw new Problem('features-malformed', 'the JSON cannot be parsed', { cause: error });
  }
}

const kindOf = (value: unknown): string => (Array.isArray(value) ? 'a list' : value === null ? 'null' : typeof value);

const isShape = (v: unknown): v is number[] => Array.isArray(v) && v.every((n) => Number.isSafeInteger(n) && n >= 0);

import { sizeOf, type Tensor } from '../../export/tensor.js';
import { Problem } from '../errors.js';

/** A tensor as plain JSON: `data` is flat, row by row. */
export interface JsonTensor {
  shape: number[];
  data: number[];
}

/** Shortest decimals that read back as the same numbers. */
export const toJson = ({ dims, data }: Tensor<'float32'> | Tensor<'uint8'>): JsonTensor => ({
  shape: [...dims],
  data: Array.from(data),
});

/**
 * Reads `{"shape": […], "data": […]}`; other members are ignored.
 * @throws Problem features-malformed, features-dtype, features-length, features-nan, features-infinite
 */
export function readJson(bytes: Uint8Array): Tensor<'float32'> {
  const { shape, data } = (parse(new TextDecoder().decode(bytes)) ?? {}) as Partial<Record<keyof JsonTensor, unknown>>;
  if (!isShape(shape)) throw new Problem('features-malformed', 'the JSON has no "shape" with whole numbers');
  if (!Array.isArray(data))
    throw new Problem('features-malformed', 'the JSON has no "data" with a flat list of numbers');
  const wrong = data.findIndex((v) => typeof v !== 'number');
  if (wrong >= 0) {
    const code = data[wrong] === null ? 'features-nan' : 'features-dtype';
    throw new Problem(code, `the entry data[${wrong}] is ${JSON.stringify(data[wrong]).slice(0, 40)}, not a number`);
  }
  if (sizeOf(shape) !== data.length) {
    throw new Problem(
      'features-length',
      `shape [${shape}] takes ${sizeOf(shape)} numbers, but "data" holds ${data.length}`,
    );
  }
  return { type: 'float32', dims: shape, data: Float32Array.from(data as number[]) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // Some writers put NaN and Infinity, which JSON does not have.
    const word = /[[,:\s]-?(NaN|Infinity)\b/.exec(text)?.[1];
    if (word)
      throw new Problem(word === 'NaN' ? 'features-nan' : 'features-infinite', `the JSON contains ${word}`, {
        cause: error,
      });
    throw new Problem('features-malformed', 'the JSON cannot be parsed', { cause: error });
  }
}

const isShape = (v: unknown): v is number[] => Array.isArray(v) && v.every((n) => Number.isSafeInteger(n) && n >= 0);

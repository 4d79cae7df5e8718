import type { Chunks } from '../../export/files/write.js';
import { headerLength, safetensorsHeader } from '../../export/formats/safetensors.js';
import { sizeOf } from '../../export/graph/tensor.js';
import { locateNpy, npyHeader } from '../tensor/npy.js';
import type { DataFormat } from './plan.js';

/** Formats that hold the results of many inputs in one float32 array, a row an input. */
export type ArrayFormat = Exclude<DataFormat, 'png'>;

interface Format {
  /** What comes before the data. */
  header(name: string, dims: readonly number[], metadata: Readonly<Record<string, string>>): Chunks;
  /** Where the data begins, in bytes. */
  start(file: Uint8Array): number;
}

export const arrayFormats: Readonly<Record<ArrayFormat, Format>> = {
  safetensors: {
    header: (name, shape, metadata) =>
      safetensorsHeader([{ name, dtype: 'F32', shape, bytes: 4 * sizeOf(shape) }], metadata),
    start: (file) => 8 + headerLength(file, file.length),
  },
  npy: {
    header: (_, dims) => [npyHeader(dims)],
    start: (file) => locateNpy(file, file.length).end,
  },
};

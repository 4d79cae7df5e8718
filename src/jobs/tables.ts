import { locateFeatures, SAFETENSORS_BEGINNING } from '../../export/formats/features.js';
import { isNpy, locateNpy, NPY_BEGINNING } from '../../export/formats/npy.js';
import { readTensor } from '../../export/formats/read.js';
import { isSafetensors } from '../../export/formats/safetensors.js';
import { sizeOf } from '../../export/graph/tensor.js';
import { floats, type OpenFile, openFile } from './files.js';

/** An open file of features. Rows are read one by one, so the file may be larger than memory. */
export interface Table {
  /** The number of rows, and the shape of a row. */
  readonly dims: readonly number[];
  row(index: number): Float32Array;
  close(): void;
}

const BEGINNING = Math.max(NPY_BEGINNING, SAFETENSORS_BEGINNING);

/** @throws FormatError as `readTensor`; a system error */
export function openTable(path: string): Table {
  const file = openFile(path);
  try {
    const beginning = file.read(0, Math.min(BEGINNING, file.size));
    const place = locate(beginning, file.size);
    return place ? onDisk(file, place.dims, place.start) : inMemory(file);
  } catch (error) {
    file.close();
    throw error;
  }
}

/** The shape of the array and the position of its first byte; undefined when rows are not contiguous float32 numbers. */
function locate(beginning: Uint8Array, size: number): { dims: readonly number[]; start: number } | undefined {
  if (isNpy(beginning)) {
    const { fortran, shape, end } = locateNpy(beginning, size);
    return fortran ? undefined : { dims: shape, start: end };
  }
  if (!isSafetensors(beginning)) return undefined;
  const { shape, start } = locateFeatures(beginning, size);
  return { dims: shape, start };
}

function onDisk(file: OpenFile, dims: readonly number[], start: number): Table {
  const bytes = 4 * sizeOf(dims.slice(1));
  return {
    dims,
    row: (index) => floats(file.read(start + index * bytes, bytes)),
    close: file.close,
  };
}

function inMemory(file: OpenFile): Table {
  const { dims, data } = readTensor(file.read(0, file.size));
  file.close();
  const size = sizeOf(dims.slice(1));
  return { dims, row: (index) => data.subarray(index * size, (index + 1) * size), close: () => undefined };
}

import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Chunks, type Listed, writeListed } from '../../export/files/write.js';
import { locateNpy, npyHeader } from '../../export/formats/npy.js';
import { headerLength, safetensorsHeader } from '../../export/formats/safetensors.js';
import { sizeOf } from '../../export/graph/tensor.js';
import type { DataFormat, Plan } from './plan.js';
import { tasks } from './tasks.js';

// Results are one float32 array with a row for each good input, or a folder with a PNG for each.

interface ArrayFormat {
  /** The bytes before the data. */
  header(name: string, dims: readonly number[], metadata: Readonly<Record<string, string>>): Chunks;
  /** The position of the first byte of data. */
  start(file: Uint8Array): number;
}

const arrayFormats: Readonly<Record<Exclude<DataFormat, 'png'>, ArrayFormat>> = {
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

const formatOf = ({ data }: Plan): ArrayFormat => {
  if (data === 'png') throw new TypeError('images are files, not an array');
  return arrayFormats[data];
};

export const IMAGES = 'images';

/** The name of the file or folder with the data, in a part and in the merged result. */
export const dataName = ({ data, task }: Plan): string => (data === 'png' ? IMAGES : `${tasks[task].array}.${data}`);

/** The file name of an image, by its position among the inputs of the job. */
export const imageName = (position: number): string => `${String(position).padStart(9, '0')}.png`;

/** The bytes before the data of an array of so many rows. */
export const arrayHeader = (plan: Plan, rows: number): Chunks =>
  formatOf(plan).header(tasks[plan.task].array, [rows, ...plan.row], { model: plan.model });

/** The data of an array file, without its header. */
export const rowsIn = (plan: Plan, file: Uint8Array): Uint8Array => file.subarray(formatOf(plan).start(file));

/**
 * Writes the data of a part.
 * @param positions of the good inputs among the inputs of the job
 * @param pieces as in `Computed`
 */
export function writeData(folder: string, plan: Plan, positions: readonly number[], pieces: readonly Uint8Array[]) {
  const path = join(folder, dataName(plan));
  if (plan.data === 'png') return writeImages(path, positions, pieces);
  return writeListed(path, [...arrayHeader(plan, positions.length), ...pieces]);
}

async function writeImages(
  folder: string,
  positions: readonly number[],
  files: readonly Uint8Array[],
): Promise<Listed> {
  await mkdir(folder);
  const hash = createHash('sha256');
  for (const [i, file] of files.entries()) {
    hash.update(file);
    // Images are not flushed one by one: if power is lost, the hash of the part shows which parts are damaged.
    await writeFile(join(folder, imageName(positions[i]!)), file);
  }
  return { bytes: files.reduce((sum, { length }) => sum + length, 0), sha256: hash.digest('hex') };
}

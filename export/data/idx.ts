import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { DatasetError } from './dataset.js';

/**
 * Reads an IDX file of bytes, plain or gzipped. http://yann.lecun.com/exdb/mnist/ describes the format.
 * @param name of the file without ".gz"
 * @param rank how many dimensions are expected
 * @param remedy what to do when the file is missing, for the message
 * @throws DatasetError
 */
export async function readIdx(
  folder: string,
  name: string,
  rank: number,
  remedy: string,
): Promise<{ dims: number[]; data: Uint8Array }> {
  const bytes = await readPlainOrGzipped(folder, name, remedy);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = 4 + 4 * rank;
  if (bytes.length < header || view.getUint32(0) !== 0x800 + rank) {
    throw new DatasetError(`${join(folder, name)} is not an IDX file of ${rank} dimensions of bytes`);
  }
  const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = dims.reduce((a, b) => a * b, 1);
  if (bytes.length !== header + size) {
    throw new DatasetError(
      `${join(folder, name)} should hold ${size} bytes of data, but holds ${bytes.length - header}`,
    );
  }
  return { dims, data: bytes.subarray(header) };
}

async function readPlainOrGzipped(folder: string, name: string, remedy: string): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(await readFile(join(folder, `${name}.gz`)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new DatasetError(`${name}.gz: ${(error as Error).message}`);
  }
  try {
    return await readFile(join(folder, name));
  } catch {
    throw new DatasetError(`${folder} holds neither ${name} nor ${name}.gz. ${remedy}`);
  }
}

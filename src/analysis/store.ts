import { mkdir, open, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../../export/files/write.js';
import type { Cache } from './context.js';

/** Arrays of numbers by name, to be read in pieces. */
export interface Store {
  /** Whether there is one of this many numbers. It is then in use, and kept longer than those that are not. */
  has(name: string, length: number): Promise<boolean>;
  /** Numbers [from, to); undefined where there are none any more. */
  read(name: string, from: number, to: number): Promise<Float32Array | undefined>;
  write(name: string, numbers: Float32Array): Promise<void>;
}

export function memoryStore(): Store {
  const kept = new Map<string, Float32Array>();
  return {
    has: async (name, length) => kept.get(name)?.length === length,
    read: async (name, from, to) => kept.get(name)?.subarray(from, to),
    write: async (name, numbers) => void kept.set(name, numbers),
  };
}

const ENDING = '.f32';

/** Files in a folder that several processes may use. A file appears whole; when there are too many, the oldest go. */
export function diskStore({ folder, bytes }: Cache): Store {
  const pathOf = (name: string) => join(folder, `${name}${ENDING}`);
  return {
    async has(name, length) {
      const path = pathOf(name);
      const found = await missingAs(undefined, stat(path));
      if (found?.size !== length * Float32Array.BYTES_PER_ELEMENT) return false;
      const now = new Date();
      await missingAs(undefined, utimes(path, now, now));
      return true;
    },
    async read(name, from, to) {
      const file = await missingAs(undefined, open(pathOf(name)));
      if (file === undefined) return undefined;
      const numbers = new Float32Array(to - from);
      const into = new Uint8Array(numbers.buffer);
      try {
        const { bytesRead } = await file.read(into, 0, into.length, from * Float32Array.BYTES_PER_ELEMENT);
        return bytesRead === into.length ? numbers : undefined;
      } finally {
        await file.close();
      }
    },
    async write(name, numbers) {
      await mkdir(folder, { recursive: true });
      await writeAtomically(pathOf(name), new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
      await shrink(folder, bytes);
    },
  };
}

/** Removes the files that were not used for the longest time, until the others take no more than `bytes`. */
async function shrink(folder: string, bytes: number): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(ENDING));
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const found = await missingAs(undefined, stat(path));
      return found ? [{ path, size: found.size, used: found.mtimeMs }] : [];
    }),
  );
  const newest = files.flat().sort((a, b) => b.used - a.used);
  let total = 0;
  for (const { path, size } of newest) {
    total += size;
    if (total > bytes) await rm(path, { force: true });
  }
}

/** The result of a call on a file that another process may have removed. */
async function missingAs<T, M>(missing: M, call: Promise<T>): Promise<T | M> {
  try {
    return await call;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return missing;
    throw error;
  }
}

import { createHash } from 'node:crypto';
import { closeSync, constants, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Listed } from '../../export/files/write.js';

/** An open regular file that is read synchronously, for threads that only read. */
export interface OpenFile {
  readonly size: number;
  /** @throws Error when the file ends before */
  read(from: number, bytes: number): Uint8Array;
  close(): void;
}

/** Opens a file. @throws a system error; its code is EISDIR or ENOTREG when the path is not a regular file */
export function openFile(path: string): OpenFile {
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const stats = fstatSync(file);
  if (!stats.isFile()) {
    closeSync(file);
    throw Object.assign(new Error(`${path} is no file`), { code: stats.isDirectory() ? 'EISDIR' : 'ENOTREG' });
  }
  return {
    size: stats.size,
    read(from, bytes) {
      const into = Buffer.allocUnsafe(bytes);
      let at = 0;
      while (at < bytes) {
        const count = readSync(file, into, at, bytes - at, from + at);
        if (count === 0) throw Object.assign(new Error(`${path} has become shorter`), { code: 'ESHORT' });
        at += count;
      }
      return into;
    },
    close: () => closeSync(file),
  };
}

/** Codes of system errors that concern a single file, and not the disk or the machine. */
const OF_ONE_FILE = new Set('ENOENT EACCES EPERM EISDIR ENOTDIR ELOOP ENAMETOOLONG ENOTREG ESHORT'.split(' '));

/** The code of a system error that concerns a single file; undefined for other errors. */
export function fileFault(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return OF_ONE_FILE.has(code) ? code : undefined;
}

/** The size and hash of a file, or of the concatenated files of a folder; undefined when the path does not exist. */
export async function listedAt(path: string): Promise<Listed | undefined> {
  try {
    const names = (await stat(path)).isDirectory() ? (await readdir(path)).sort() : [''];
    const hash = createHash('sha256');
    let bytes = 0;
    for (const name of names) {
      for await (const piece of createReadStream(join(path, name))) {
        hash.update(piece as Buffer);
        bytes += (piece as Buffer).length;
      }
    }
    return { bytes, sha256: hash.digest('hex') };
  } catch (error) {
    if (fileFault(error)) return undefined;
    throw error;
  }
}

export const isSame = (a: Listed | undefined, b: Listed): boolean => a?.bytes === b.bytes && a.sha256 === b.sha256;

/** The text of a file; undefined when it does not exist. */
export async function textAt(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (fileFault(error)) return undefined;
    throw error;
  }
}

/** Removes the temporary files and folders that a killed process left behind, of the names that `selects` accepts. */
export async function removeUnfinished(folder: string, selects: (name: string) => boolean): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const unfinished = names.filter((temporary) => {
    const [, name] = /^(.+)\.[0-9a-f]{12}\.(?:tmp|old)$/.exec(temporary) ?? [];
    return name !== undefined && selects(name);
  });
  await Promise.all(unfinished.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

/** The float32 numbers in some bytes, which need not be aligned. A copy. */
export const floats = (bytes: Uint8Array): Float32Array => new Float32Array(new Uint8Array(bytes).buffer);

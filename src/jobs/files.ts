import { createHash } from 'node:crypto';
import { closeSync, constants, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../../export/files/write.js';
import type { Listed } from '../../export/model/folder.js';

/** An open regular file, read at once: for threads that have nothing else to do. */
export interface OpenFile {
  readonly size: number;
  /** @throws Error when the file ends before */
  read(from: number, bytes: number): Uint8Array;
  close(): void;
}

/** @throws a system error; one with the code EISDIR or ENOTREG for what is no file */
export function openFile(path: string): OpenFile {
  // A pipe would be waited for; this way it is opened, and seen to be none of ours.
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

/** What system errors say that a single file is at fault, and not the disk or the machine. */
const OF_THE_FILE = new Set('ENOENT EACCES EPERM EISDIR ENOTDIR ELOOP ENAMETOOLONG ENOTREG ESHORT'.split(' '));

/** The code of a system error that is about one file only; undefined for everything else. */
export function fileFault(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return OF_THE_FILE.has(code) ? code : undefined;
}

/** The size and hash of a file, or of the files of a folder one after the other; undefined where there is none. */
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

/** Text of a file; undefined where there is none. */
export async function textAt(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (fileFault(error)) return undefined;
    throw error;
  }
}

/** Writes a file atomically, unless it is there with the same bytes. */
export async function writeMissing(path: string, bytes: Uint8Array): Promise<void> {
  const there = await readFile(path).catch(() => undefined);
  if (!there?.equals(bytes)) await writeAtomically(path, bytes);
}

/** Removes what was being written when a run ended, by its beginning. */
export async function removeUnfinished(folder: string, beginning = ''): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const unfinished = names.filter((name) => name.startsWith(beginning) && /\.[0-9a-f]{12}\.(tmp|old)$/.test(name));
  await Promise.all(unfinished.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, renameSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { appearance, checkFolder, followed, isStream, keepAppearance } from './place.js';
import { beside } from './temporary.js';

/** The bytes of one file in several arrays, so that a header can precede large data without a copy. */
export type Chunks = readonly Uint8Array[];

export const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');

/**
 * Writes a file so that a reader sees either the old content or the new content, never a part of it. Links are followed, and
 * a file that is replaced leaves its mode and owner to the new one. What is no regular file, such as a device or a pipe, is
 * written into.
 * @throws a system error: EISDIR when the path is a folder, EACCES when the file that is there is not to be written
 */
export async function writeAtomically(path: string, data: Uint8Array | Chunks | string): Promise<void> {
  const place = await followed(path);
  const former = await appearance(place);
  // Appended, because a shell may have opened the same file with >>.
  if (isStream(path, former)) return writeFile(path, data, { flag: 'a' });
  await mkdir(dirname(place), { recursive: true });
  await beside(place, async (temporary) => {
    // Until it has the mode of the file that it replaces, nobody else reads it.
    await writeFile(temporary, data, { flush: true, ...(former && { mode: 0o600 }) });
    await keepAppearance(temporary, former);
    await rename(temporary, place);
  }).catch((error: NodeJS.ErrnoException) => {
    // When a disk is full, the system does not say where.
    throw Object.assign(error, { path: error.path ?? place });
  });
}

/**
 * Whether `writeAtomically` could write here, asked before hours of work.
 * @throws a system error: EISDIR when the path is a folder, EACCES or EROFS when nothing may be written there, ENOTDIR when
 * the path leads through a file
 */
export async function checkWritable(path: string): Promise<void> {
  const place = await followed(path);
  if (isStream(path, await appearance(place))) return;
  await checkFolderAbove(dirname(resolve(place)));
}

async function checkFolderAbove(folder: string): Promise<void> {
  const found = await appearance(folder);
  checkFolder(folder, found);
  if (found === undefined) await checkFolderAbove(dirname(folder));
}

/** Size and hash of a file, as a manifest lists them. */
export interface Listed {
  readonly bytes: number;
  readonly sha256: string;
}

/** Writes a file chunk by chunk, so that it may be larger than memory. @returns its size and hash */
export async function writeListed(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<Listed> {
  const hash = createHash('sha256');
  let bytes = 0;
  async function* counted() {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  }
  await writeFile(path, counted(), { flush: true });
  return { bytes, sha256: hash.digest('hex') };
}

/** The names by which `writeFolder` moves the folder that it replaces out of the way. */
const MOVED = /^(.+)\.[0-9a-f]{12}\.old$/;

/**
 * Lets `fill` write into a new folder, which then replaces the one at `folder`, if any, with its mode and owner. Links are
 * followed. When `fill` fails, the old folder stays and nothing of the new one is left.
 * @returns the result of `fill`
 * @throws a system error ENOTDIR when something else than a folder is there
 */
export async function writeFolder<T>(folder: string, fill: (fresh: string) => Promise<T>): Promise<T> {
  const place = await followed(folder);
  restoreFolders(dirname(place));
  const former = await appearance(place);
  checkFolder(folder, former);
  return beside(place, async (fresh) => {
    await mkdir(fresh, { recursive: true });
    const filled = await fill(fresh);
    await keepAppearance(fresh, former);
    const old = fresh.replace(/tmp$/, 'old');
    const replaced = existsSync(place);
    // Synchronous, so that no listener of a signal runs while neither folder is at its place.
    if (replaced) renameSync(place, old);
    renameSync(fresh, place);
    if (replaced) await rm(old, { recursive: true });
    return filled;
  });
}

/**
 * Moves folders back to their places that `writeFolder` had moved away when its process was killed, before the new folder
 * was there. Where this user may not do that, they stay as they are.
 * @param parent the folder that they lie in
 */
export function restoreFolders(parent: string): void {
  if (!existsSync(parent)) return;
  try {
    for (const moved of readdirSync(parent)) {
      const name = MOVED.exec(moved)?.[1];
      if (name && !existsSync(join(parent, name))) renameSync(join(parent, moved), join(parent, name));
    }
  } catch {
    // The caller that needs the folder reports that it is missing.
  }
}

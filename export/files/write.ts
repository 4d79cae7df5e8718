import { createHash } from 'node:crypto';
import { existsSync, renameSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { beside } from './temporary.js';

/** The bytes of one file in several arrays, so that a header can precede large data without a copy. */
export type Chunks = readonly Uint8Array[];

export const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');

/** Writes a file so that a reader sees either the old content or the new content, never a part of it. */
export async function writeAtomically(path: string, data: Uint8Array | Chunks | string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await beside(path, async (temporary) => {
    await writeFile(temporary, data, { flush: true });
    await rename(temporary, path);
  });
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

/**
 * Lets `fill` write into a new folder, which then replaces the one at `folder`, if any. When `fill` fails, the old folder
 * stays and nothing of the new one is left.
 * @returns the result of `fill`
 */
export async function writeFolder<T>(folder: string, fill: (fresh: string) => Promise<T>): Promise<T> {
  return beside(folder, async (fresh) => {
    await mkdir(fresh, { recursive: true });
    const filled = await fill(fresh);
    const old = fresh.replace(/tmp$/, 'old');
    const replaced = existsSync(folder);
    // Synchronous, so that no listener of a signal runs while neither folder is at its place.
    if (replaced) renameSync(folder, old);
    renameSync(fresh, folder);
    if (replaced) await rm(old, { recursive: true });
    return filled;
  });
}

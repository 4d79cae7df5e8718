import { createHash, randomBytes } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The bytes of one file in several arrays, so that a header can precede large data without a copy. */
export type Chunks = readonly Uint8Array[];

export const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');

/** Writes a file so that a reader sees either the old content or the new content, never a part of it. */
export async function writeAtomically(path: string, data: Uint8Array | Chunks | string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await writeFile(temporary, data, { flush: true });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
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
  const mark = randomBytes(6).toString('hex');
  const fresh = `${folder}.${mark}.tmp`;
  const old = `${folder}.${mark}.old`;
  await mkdir(fresh, { recursive: true });
  try {
    const filled = await fill(fresh);
    const replaced = await rename(folder, old).then(
      () => true,
      () => false,
    );
    await rename(fresh, folder);
    if (replaced) await rm(old, { recursive: true });
    return filled;
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
}

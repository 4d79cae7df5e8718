import { createHash, randomBytes } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Bytes in pieces that lie one after the other, so that large ones need not be copied to lie behind a header. */
export type Chunks = readonly Uint8Array[];

/** Writes a file so that a reader sees the old content or the new, never half of it. */
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

export const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');

import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';

/** Files and folders that are being written beside their place. */
const unfinished = new Set<string>();

/**
 * Has a file or folder written under a temporary name beside its place, and moved there by the callback. What is left
 * under that name when the callback ends, or when `removeUnfinished` is called before, is removed.
 */
export async function beside<T>(path: string, write: (temporary: string) => Promise<T>): Promise<T> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  unfinished.add(temporary);
  try {
    return await write(temporary);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  } finally {
    unfinished.delete(temporary);
  }
}

/** Has a file or folder removed by `removeUnfinished`, until the function that is returned is called. */
export function removedWhenUnfinished(path: string): () => void {
  unfinished.add(path);
  return () => unfinished.delete(path);
}

/** Removes what is being written, at once: for a process that ends before it is complete. */
export function removeUnfinished(): void {
  for (const path of unfinished) removeFolder(path, 100);
}

/** A write that is under way may put a file into a folder while it is being removed; Node.js 26 then gives up. */
function removeFolder(path: string, tries: number): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY' || tries === 1) throw error;
    removeFolder(path, tries - 1);
  }
}

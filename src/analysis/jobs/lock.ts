import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExitError } from '../../common/exit-codes.js';

/** Milliseconds between two signs of life. */
const BEAT = 1000;
/** Milliseconds without one after which the holder counts as dead. They are waited for, so clocks need not agree. */
const DEAD = 4 * BEAT;

export interface Lock {
  release(): void;
}

/**
 * Locks a folder for this process until it is released or the process dies, whatever it dies of: the holder of the lock file
 * touches it every second. So it also works between containers and machines that share the folder.
 * @param lost called when another process has taken the lock, because this one stood still too long
 * @throws ExitError in-use when another process holds it
 */
export async function lockFolder(folder: string, lost: () => void): Promise<Lock> {
  const path = join(folder, 'lock.json');
  const own = JSON.stringify({ host: hostname(), pid: process.pid, id: randomUUID() });
  while (!created(path, own)) await untilDead(path, folder);
  const beat = () => {
    if (contentOf(path) === own) return utimesSync(path, new Date(), new Date());
    clearInterval(timer);
    lost();
  };
  // A file system that fails for a moment is asked again.
  const timer = setInterval(() => attempt(beat), BEAT).unref();
  return {
    release() {
      clearInterval(timer);
      attempt(() => contentOf(path) === own && rmSync(path, { force: true }));
    },
  };
}

function attempt(run: () => unknown): void {
  try {
    run();
  } catch {
    // Without a sign of life the lock is free in a moment.
  }
}

/** Creates a file, unless there is one. @throws a system error */
function created(path: string, content: string): boolean {
  try {
    writeFileSync(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Waits until the holder of a lock has given no sign of life for long enough, and removes the lock. @throws ExitError */
async function untilDead(path: string, folder: string): Promise<void> {
  const [content, beat] = [contentOf(path), beatOf(path)];
  const since = performance.now();
  while (performance.now() - since < DEAD) {
    await sleep(BEAT / 4);
    if (contentOf(path) === undefined) return;
    if (contentOf(path) === content && beatOf(path) === beat) continue;
    throw new ExitError(
      'in-use',
      `${folder} is used by another service (${holderOf(content)}); stop it, or name another folder with --analyses`,
    );
  }
  if (contentOf(path) === content) rmSync(path, { force: true });
}

function holderOf(content: string | undefined): string {
  try {
    const { host, pid } = JSON.parse(content ?? '') as { host: string; pid: number };
    return `process ${pid} on ${host}`;
  } catch {
    return 'which one, its lock does not say';
  }
}

const contentOf = (path: string): string | undefined => orMissing(() => readFileSync(path, 'utf8'));
const beatOf = (path: string): number | undefined => orMissing(() => statSync(path).mtimeMs);

function orMissing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

import type { Stats } from 'node:fs';
import { access, chmod, chown, constants, readlink, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** Where a path leads when every link is followed, also one to a file that does not exist yet. */
export async function followed(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    const target = await readlink(path).catch(() => undefined);
    return target === undefined ? path : followed(resolve(await realpath(dirname(path)), target));
  }
}

/** What is at a path; undefined where there is nothing. @throws EACCES when it is not to be written */
export async function appearance(path: string): Promise<Stats | undefined> {
  try {
    const found = await stat(path);
    await access(path, constants.W_OK);
    return found;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Gives a new file or folder the mode of the one that it replaces and, where this user may, its owner. */
export async function keepAppearance(path: string, former: Stats | undefined): Promise<void> {
  if (!former) return;
  await chown(path, former.uid, former.gid).catch(() => undefined);
  await chmod(path, former.mode & 0o7777);
}

/** The names of files that the process has open already. */
const OPEN = /^\/(dev\/(stdout|stderr|fd\/\d+)|proc\/[^/]+\/fd\/\d+)$/;

/** Whether a path is written into and never replaced. @throws EISDIR when a folder is there */
export function isStream(path: string, found: Stats | undefined): boolean {
  if (found?.isDirectory()) {
    throw Object.assign(new Error(`${path} is a folder`), { code: 'EISDIR', path });
  }
  return OPEN.test(path) || (found !== undefined && !found.isFile());
}

/** @throws ENOTDIR when something else than a folder is there */
export function checkFolder(path: string, found: Stats | undefined): void {
  if (!found || found.isDirectory()) return;
  throw Object.assign(new Error(`${path} is no folder`), { code: 'ENOTDIR', path });
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

import { ExitError } from '../common/exit-codes.js';

/** A job cannot be run or merged. The message says what is wrong and what to do. */
export class BatchError extends Error {
  override readonly name = 'BatchError';
}

const NO_SPACE = new Set(['ENOSPC', 'EDQUOT']);
const NO_FOLDER = new Set(['ENOTDIR', 'EEXIST']);

/** Runs a function that writes into a folder. @throws ExitError not-writable when the folder cannot be written */
export async function writingTo<T>(folder: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    const { code = '', path = folder, syscall } = cause as NodeJS.ErrnoException;
    if (NO_SPACE.has(code)) {
      const advice = 'free some space and run the same command again: finished parts are kept';
      throw new ExitError('not-writable', `no space is left for ${path} (${code}); ${advice}`, { cause });
    }
    // With `recursive`, Node.js reports ENOENT for a folder that cannot be created because its parent is read-only.
    if (NO_FOLDER.has(code) || (code === 'ENOENT' && syscall === 'mkdir')) {
      throw new ExitError(
        'not-writable',
        `${folder} cannot be made a folder (${code}: ${path}); name one that can be written`,
        { cause },
      );
    }
    throw cause;
  }
}

import { ExitError } from '../common/exit-codes.js';

/** A batch that cannot be run or merged; the message says what is wrong and what to do. */
export class BatchError extends Error {
  override readonly name = 'BatchError';
}

const NO_SPACE = new Set(['ENOSPC', 'EDQUOT']);
const NO_FOLDER = new Set(['ENOTDIR', 'EEXIST']);

/** Runs something that writes into a folder, and says what follows when it cannot. @throws ExitError not-writable */
export async function writingTo<T>(folder: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    const { code = '', path = folder, syscall } = cause as NodeJS.ErrnoException;
    if (NO_SPACE.has(code)) {
      const advice = 'make room and run the same command again: what is finished stays';
      throw new ExitError('not-writable', `no space is left for ${path} (${code}); ${advice}`, { cause });
    }
    // Of a folder within one that is read-only Node.js says that it is not there.
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

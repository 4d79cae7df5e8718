/** Exit codes of a batch, besides 0 and 1. */
export const exitCodes = { notWritable: 22, someBad: 28, interrupted: 130 } as const;

/** A batch that cannot be run or merged; the message says what is wrong and what to do. */
export class BatchError extends Error {
  override readonly name = 'BatchError';
  constructor(
    message: string,
    readonly exitCode: number = 1,
    options: ErrorOptions = {},
  ) {
    super(message, options);
  }
}

const NO_SPACE = new Set(['ENOSPC', 'EDQUOT']);
const NOT_WRITABLE = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST']);

/** Runs something that writes into a folder, and puts what the system says of it into words. @throws BatchError */
export async function writingTo<T>(folder: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const { code = '', path = folder } = error as NodeJS.ErrnoException;
    if (NO_SPACE.has(code)) {
      const advice = 'Make room and run the same command again: what is finished stays';
      throw new BatchError(`no space is left for ${path} (${code}). ${advice}`, 1, { cause: error });
    }
    if (NOT_WRITABLE.has(code)) {
      throw new BatchError(`${path} cannot be written (${code}); name a folder that can`, exitCodes.notWritable, {
        cause: error,
      });
    }
    throw error;
  }
}

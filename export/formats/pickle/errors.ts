/** A file that cannot be read as a checkpoint; the message names it and says what was wrong, what was expected, what to do. */
export class CheckpointFileError extends Error {
  override readonly name = 'CheckpointFileError';
  constructor(
    readonly path: string,
    readonly problem: string,
  ) {
    super(`${path}: ${problem}`);
  }
}

/** The remedy for a file that was truncated or changed in transfer. */
export const COPY_AGAIN = 'The file is damaged: copy or download it again';

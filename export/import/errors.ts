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

/** What to do about a file that was cut or changed on its way. */
export const COPY_AGAIN = 'The file is damaged: copy or download it again';

/** What to do about a file that holds more than data. */
export const SAVE_AGAIN = 'Save the state dict again with torch.save(model.state_dict(), path)';

/** What can be wrong with a file of numbers. */
export type FormatProblem =
  | 'empty'
  | 'malformed'
  | 'name'
  | 'rank'
  | 'dtype'
  | 'byte-order'
  | 'length'
  | 'nan'
  | 'infinite'
  | 'too-large';

/** A file that is not what its format allows. The message says what was found and what was expected. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  constructor(
    readonly problem: FormatProblem,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

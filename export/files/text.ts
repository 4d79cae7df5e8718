/** Text in another encoding than UTF-8. The message says what was found and what was expected. */
export class EncodingError extends Error {
  override readonly name = 'EncodingError';
}

/**
 * Decodes a text file in UTF-8, with or without a byte order mark, which is dropped.
 * @param name of the file, for the error
 * @throws EncodingError for UTF-16, as PowerShell and Notepad may write it, and for bytes that are no UTF-8
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  if (isWide(bytes)) throw new EncodingError(`${name} is UTF-16 or UTF-32 text; expected UTF-8`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new EncodingError(`${name} holds bytes that are not UTF-8; expected UTF-8`, { cause });
  }
}

/** Whether text begins with a byte order mark of 16 bits or more, or with a character of so many bits. */
const isWide = ([a, b]: Uint8Array): boolean =>
  a === 0 || b === 0 || (a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff);

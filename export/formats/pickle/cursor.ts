import { CheckpointFileError, COPY_AGAIN } from './errors.js';
import type { Bytes } from './source.js';

/** Reads numbers and strings in sequence from bytes of any size; only a small window of them is in memory. */
export interface Cursor {
  /** The offset of the next byte. */
  readonly position: number;
  u8(): number;
  /** Little-endian, as all numbers except `f64be`. */
  u16(): number;
  u32(): number;
  i32(): number;
  /** An unsigned 64-bit number that is a safe integer. */
  u64(): number;
  /** A big-endian float64. */
  f64be(): number;
  bytes(length: number): Uint8Array;
  utf8(length: number): string;
  latin1(length: number): string;
  /** Text up to the next line feed, without it. */
  line(): string;
  /** An error whose message includes the position of the cursor. */
  error(problem: string): CheckpointFileError;
}

const WINDOW = 1 << 16;
/** Longest string that is read, in bytes; far above any name in a checkpoint. */
const LONGEST_STRING = 2 ** 26;

/**
 * A cursor at `start`. Every read throws CheckpointFileError when too few bytes are left.
 * @param what named in errors, such as "data.pkl"
 */
export function cursorOver(source: Bytes, what: string, start = 0): Cursor {
  let position = start;
  let from = start;
  let window: Uint8Array = new Uint8Array(0);

  const error = (problem: string) => new CheckpointFileError(source.path, `${what}, byte ${position}: ${problem}`);
  /** The bytes from the cursor to the end of the window, at least `length` of them. */
  const ahead = (length: number): Uint8Array => {
    const left = source.size - position;
    if (!(length >= 0 && length <= left)) throw error(`${length} bytes are announced, ${left} follow. ${COPY_AGAIN}`);
    if (position + length > from + window.length) {
      window = source.read(position, Math.min(left, Math.max(length, WINDOW)));
      from = position;
    }
    return window.subarray(position - from);
  };
  const take = (length: number): Buffer => {
    const { buffer, byteOffset } = ahead(length);
    position += length;
    return Buffer.from(buffer, byteOffset, length);
  };
  const string = (length: number): Buffer => {
    if (length > LONGEST_STRING) throw error(`a string of ${length} bytes; at most ${LONGEST_STRING} are read`);
    return take(length);
  };
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return {
    get position() {
      return position;
    },
    error,
    u8: () => take(1)[0]!,
    u16: () => take(2).readUInt16LE(),
    u32: () => take(4).readUInt32LE(),
    i32: () => take(4).readInt32LE(),
    u64() {
      const value = Number(take(8).readBigUInt64LE());
      if (!Number.isSafeInteger(value)) throw error(`${value} is too large for a length. ${COPY_AGAIN}`);
      return value;
    },
    f64be: () => take(8).readDoubleBE(),
    bytes: (length) => new Uint8Array(take(length)),
    utf8(length) {
      const bytes = string(length);
      try {
        return utf8.decode(bytes);
      } catch {
        throw error(`a string is not UTF-8. ${COPY_AGAIN}`);
      }
    },
    latin1: (length) => string(length).toString('latin1'),
    line() {
      let text = '';
      while (text.length <= LONGEST_STRING) {
        const rest = ahead(1);
        const end = rest.indexOf(10);
        text += take(end < 0 ? rest.length : end).toString('latin1');
        if (end < 0) continue;
        position += 1;
        return text;
      }
      throw error(`a line is longer than ${LONGEST_STRING} bytes`);
    },
  };
}

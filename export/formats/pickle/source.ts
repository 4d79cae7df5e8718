import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { CheckpointFileError, COPY_AGAIN } from './errors.js';

/** Bytes that are read range by range. Offsets and lengths are in bytes. */
export interface Bytes {
  /** Named in errors. */
  readonly path: string;
  readonly size: number;
  /** Reads exactly `length` bytes; throws CheckpointFileError if there are fewer. */
  read(offset: number, length: number): Uint8Array;
}

/** An open file of any size. */
export interface Source extends Bytes {
  close(): void;
}

/** Largest number of bytes in one call of read(2). */
const AT_ONCE = 2 ** 30;

/**
 * Opens a file for reading by range.
 * @throws CheckpointFileError when it is missing, unreadable or no regular file
 */
export function openSource(path: string): Source {
  // Without O_NONBLOCK, opening a FIFO waits for a writer that may never come. Windows has neither.
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
  const file = attempt(path, 'cannot be opened', () => openSync(path, flags));
  const stat = fstatSync(file);
  if (!stat.isFile()) {
    closeSync(file);
    const kind = stat.isDirectory() ? 'is a folder' : 'is no regular file';
    throw new CheckpointFileError(path, `${kind}; expected a checkpoint file, such as one written by torch.save`);
  }
  let open = true;
  return {
    path,
    size: stat.size,
    read(offset, length) {
      checkRange(path, stat.size, offset, length);
      if (!open) throw new CheckpointFileError(path, 'is closed; read the tensors before close()');
      const bytes = attempt(path, `${length} bytes do not fit into memory`, () => new Uint8Array(length));
      for (let done = 0; done < length; ) {
        const part = bytes.subarray(done, done + AT_ONCE);
        const got = attempt(path, 'cannot be read', () => readSync(file, part, 0, part.length, offset + done));
        if (got === 0) throw new CheckpointFileError(path, `ended at byte ${offset + done} while it was read`);
        done += got;
      }
      return bytes;
    },
    close() {
      if (open) closeSync(file);
      open = false;
    },
  };
}

/** Bytes in memory; a read returns a view of them. */
export const inMemory = (path: string, bytes: Uint8Array): Bytes => ({
  path,
  size: bytes.length,
  read(offset, length) {
    checkRange(path, bytes.length, offset, length);
    return bytes.subarray(offset, offset + length);
  },
});

function checkRange(path: string, size: number, offset: number, length: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!valid || offset + length > size) {
    throw new CheckpointFileError(path, `${length} bytes are expected at ${offset}, of ${size} in all. ${COPY_AGAIN}`);
  }
}

function attempt<T>(path: string, problem: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CheckpointFileError(path, `${problem} (${code ?? message})`);
  }
}

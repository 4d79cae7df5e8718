import { rmSync } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removedWhenUnfinished } from '../../files/temporary.js';
import { DatasetError } from '../dataset.js';
import type { Place } from './files.js';

/** A file for bytes that are read again later, by range. It appears with the first bytes and goes with `close`. */
export interface TemporaryFile {
  append(bytes: Uint8Array): Promise<Place>;
  close(): Promise<void>;
}

/** Such a file in the system's folder for temporary files, which TMPDIR names. */
export function temporaryFile(): TemporaryFile {
  let opened: Promise<{ folder: string; path: string; file: FileHandle }> | undefined;
  let end = 0;
  let forget = () => {};
  const create = async () => {
    const folder = await mkdtemp(join(tmpdir(), 'irevnet-'));
    const remove = () => rmSync(folder, { recursive: true, force: true });
    const kept = removedWhenUnfinished(folder);
    process.on('exit', remove);
    forget = () => {
      process.off('exit', remove);
      kept();
    };
    const path = join(folder, 'images');
    return { folder, path, file: await open(path, 'w') };
  };
  return {
    async append(bytes) {
      try {
        opened ??= create();
        const { path, file } = await opened;
        const from = end;
        end += bytes.length;
        for (let done = 0; done < bytes.length; ) {
          done += (await file.write(bytes, done, bytes.length - done, from + done)).bytesWritten;
        }
        return { path, from, length: bytes.length };
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        throw new DatasetError(
          `images cannot be unpacked into ${tmpdir()} (${code}); make room there, name another folder with TMPDIR, or unpack the data and name their folder`,
        );
      }
    },
    async close() {
      const made = await opened?.catch(() => undefined);
      await made?.file.close();
      forget();
      if (made) await rm(made.folder, { recursive: true, force: true });
    },
  };
}

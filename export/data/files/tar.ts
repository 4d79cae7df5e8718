import { createReadStream } from 'node:fs';
import { Parser, type ReadEntry } from 'tar';
import { DatasetError } from '../dataset.js';
import { isHidden, type Place } from './files.js';

/**
 * Reads a tar archive, gzipped or not, from its first byte to its last.
 * @param keep is called with the bytes of every file, one file at a time
 * @throws DatasetError when it is cut short or no archive
 */
export async function unpack(
  path: string,
  keep: (bytes: Uint8Array) => Promise<Place>,
): Promise<{ places: Map<string, Place>; folders: string[] }> {
  const places = new Map<string, Place>();
  const folders: string[] = [];
  let writing: Promise<void>[] = [];
  const failures: Error[] = [];
  const add = (name: string, entry: ReadEntry) =>
    entry.concat().then(
      (bytes) => void writing.push(keep(bytes).then((place) => void places.set(name, place))),
      (error) => void failures.push(error),
    );
  const parser = new Parser({
    strict: true,
    onReadEntry(entry) {
      const name = entry.path.replace(/^(\.?\/)+|\/+$/g, '');
      if (entry.type === 'Directory' && name !== '' && !isHidden(name)) folders.push(name);
      if ((entry.type === 'File' || entry.type === 'OldFile') && !isHidden(name)) add(name, entry);
      else entry.resume();
    },
  });
  await new Promise<void>((ended, failed) => {
    parser.on('error', failed);
    parser.on('end', ended);
    const file = createReadStream(path, { highWaterMark: 2 ** 18 });
    file.on('error', failed);
    file.on('data', (chunk) => {
      parser.write(chunk as Buffer);
      if (writing.length === 0) return;
      // What is unpacked is written before more is read, so that memory is bounded.
      file.pause();
      const written = Promise.all(writing);
      writing = [];
      written.then(() => file.resume(), failed);
    });
    file.on('end', () => parser.end());
  }).catch((error: Error) => {
    if (error instanceof DatasetError) throw error;
    throw new DatasetError(
      `${path} cannot be read as an archive after ${places.size} files: it was cut short or is damaged (${error.message}). Copy or download it again`,
    );
  });
  await Promise.all(writing);
  if (failures[0]) throw failures[0];
  return { places, folders };
}

import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { DatasetError } from '../dataset.js';
import { type Files, isHidden, type Place } from './files.js';
import { unpack } from './tar.js';
import { temporaryFile } from './temporary-file.js';

const ARCHIVE = /\.(tar|tar\.gz|tgz)$/i;

/**
 * Opens a folder, an archive (.tar, .tar.gz, .tgz) or a single file. An archive is unpacked into a temporary file.
 * @throws DatasetError when it cannot be read, or the archive is damaged
 */
export async function openFiles(path: string): Promise<Files> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new DatasetError(`${path} cannot be read (${error.code}); expected a folder, an archive or a file of images`);
  });
  if (found.isDirectory()) return folder(resolve(path));
  if (!found.isFile()) throw new DatasetError(`${path} is neither a folder nor a file`);
  return ARCHIVE.test(path) ? archive(path) : onDisk(path, dirname(resolve(path)), [basename(path)], []);
}

async function folder(path: string): Promise<Files> {
  const [names, empty]: [string[], string[]] = [[], []];
  const walk = async (below: string): Promise<void> => {
    const entries = await readdir(join(path, below), { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      throw new DatasetError(`the folder ${join(path, below)} cannot be read (${error.code})`);
    });
    if (entries.length === 0 && below !== '') empty.push(below);
    for (const entry of entries) {
      if (isHidden(entry.name)) continue;
      const name = below === '' ? entry.name : `${below}/${entry.name}`;
      // A broken link is listed, so that it is counted as a file that cannot be read.
      const target = entry.isSymbolicLink() ? await stat(join(path, name)).catch(() => undefined) : entry;
      if (target?.isDirectory()) await walk(name);
      else names.push(name);
    }
  };
  await walk('');
  return onDisk(path, path, names.sort(), empty.sort());
}

function onDisk(path: string, root: string, names: readonly string[], empty: readonly string[]): Files {
  const kept = temporaryFile();
  const place = (name: string): Place => ({ path: resolve(root, name) });
  const read = (name: string) => readFile(place(name).path).catch((error) => unreadable(name, error));
  return { path, names, empty, place, read, keep: kept.append, close: kept.close };
}

async function archive(path: string): Promise<Files> {
  const kept = temporaryFile();
  try {
    const { places, folders } = await unpack(path, kept.append);
    const names = [...places.keys()].sort();
    const empty = folders.filter((folder) => ![...names, ...folders].some((name) => name.startsWith(`${folder}/`)));
    const place = (name: string): Place => places.get(name) ?? { path: join(path, name) };
    const read = async (name: string) => bytesAt(place(name)).catch((error) => unreadable(name, error));
    return { path, names, empty: empty.sort(), place, read, keep: kept.append, close: kept.close };
  } catch (error) {
    await kept.close();
    throw error;
  }
}

async function bytesAt({ path, from = 0, length = 0 }: Place): Promise<Uint8Array> {
  if (length === 0) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  for await (const chunk of createReadStream(path, { start: from, end: from + length - 1 })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const unreadable = (name: string, { code, message }: NodeJS.ErrnoException): never => {
  throw new DatasetError(`${name} cannot be read (${code ?? message})`);
};

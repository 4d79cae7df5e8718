import { DatasetError } from '../dataset.js';
import type { Files } from '../files/files.js';
import { cifarBinary } from './cifar-binary.js';
import { cifarPython } from './cifar-python.js';
import type { Format } from './format.js';
import { idx } from './idx.js';
import { imageFolder } from './image-folder.js';
import { csv, jsonLines, parquet } from './tables.js';

/** Every format, by the name that --format takes. Adding one is one file and one line. */
export const formats: Readonly<Record<string, Format>> = {
  idx,
  'cifar-binary': cifarBinary,
  'cifar-python': cifarPython,
  'image-folder': imageFolder,
  csv,
  jsonl: jsonLines,
  parquet,
};

const SHOWN = 6;

/**
 * The format that files have.
 * @param said its name, if the user says it
 * @throws DatasetError when it is none, or could be several
 */
export function formatOf(files: Files, said?: string): [name: string, format: Format] {
  if (said !== undefined) {
    if (!Object.hasOwn(formats, said))
      throw new DatasetError(`unknown format ${JSON.stringify(said)}; there are: ${Object.keys(formats).join(', ')}`);
    return [said, formats[said]!];
  }
  const found = Object.entries(formats).filter(([, format]) => format.recognises(files));
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    const names = found.map(([name, { title }]) => `${name} (${title})`).join(' and ');
    throw new DatasetError(`${files.path} looks like ${names}; say which is meant with --format`);
  }
  const shown = files.names.slice(0, SHOWN).join(', ') || 'nothing';
  const more = files.names.length > SHOWN ? `, … (${files.names.length} files)` : '';
  const expected = Object.entries(formats).map(([name, { expects }]) => `\n  ${name.padEnd(13)} ${expects}`);
  throw new DatasetError(
    `${files.path} holds no data set that is known. It has: ${shown}${more}. Expected one of${expected.join('')}`,
  );
}

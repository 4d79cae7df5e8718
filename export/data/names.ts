import { readFile } from 'node:fs/promises';
import { DatasetError } from './dataset.js';

export interface ClassNames {
  readonly names: readonly string[];
  readonly notes: readonly string[];
}

/** A file of names that lies with the data. */
interface Beside {
  readonly name: string;
  read(): Promise<Uint8Array>;
}

/**
 * Names for the classes of a data set, which may be called by codes, such as the wnids of ImageNet.
 * @param keys what the data call the classes
 * @param file that the user names; it must fit
 * @param beside a file with the data, which is used if it has a name for every class
 * @throws DatasetError when the user's file does not fit
 */
export async function classNames(
  keys: readonly string[],
  file: string | undefined,
  beside: Beside | undefined,
): Promise<ClassNames> {
  if (file !== undefined) {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new DatasetError(`${file} cannot be read (${error.code}); expected a file of class names`);
    });
    const names = namesByKey(keys, text) ?? namesInOrder(keys, text);
    if (names) return { names, notes: [] };
    throw new DatasetError(
      `${file} has ${linesOf(text).length} lines; expected ${keys.length} class names, one a line, or lines of a class of the data (such as ${keys[0]}) and its name`,
    );
  }
  if (beside) {
    const names = namesByKey(keys, Buffer.from(await beside.read()).toString());
    if (names) return { names, notes: [`Names of the classes are those of ${beside.name}`] };
    return { names: keys, notes: [`${beside.name} does not name every class of the data, so it is left aside`] };
  }
  return { names: keys, notes: [] };
}

const linesOf = (text: string): string[] =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');

/** Lines of a key, a comma or a space, and a name. */
function namesByKey(keys: readonly string[], text: string): string[] | undefined {
  const named = new Map(
    linesOf(text).flatMap((line): [string, string][] => {
      const [, key, name] = /^([^\s,]+)[\s,]+(.+)$/.exec(line) ?? [];
      return key === undefined ? [] : [[key, name!]];
    }),
  );
  const names = keys.flatMap((key) => named.get(key) ?? []);
  return names.length === keys.length ? names : undefined;
}

const namesInOrder = (keys: readonly string[], text: string): string[] | undefined => {
  const lines = linesOf(text);
  return lines.length === keys.length ? lines : undefined;
};

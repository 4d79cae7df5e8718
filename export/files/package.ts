import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder with package.json: the nearest one above this file, in the source tree as in dist. */
export const packageRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

/** An absolute path inside the package, such as that of its models folder. */
export const packagePath = (...parts: string[]): string => resolve(packageRoot, ...parts);

/** This package's version. */
export const version: string = (
  JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }
).version;

function findRoot(folder: string): string {
  try {
    readFileSync(join(folder, 'package.json'));
    return folder;
  } catch {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('package.json is missing above the code');
    return findRoot(parent);
  }
}

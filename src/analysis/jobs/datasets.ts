import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { knownDatasets } from '../../../export/data/index.js';
import { SettingsError } from '../../common/config.js';

/** Places of data sets by the names under which clients ask for them. */
export type Datasets = ReadonlyMap<string, string>;

/**
 * The data sets that the operator names, and known ones that lie at their usual place.
 * @param named the setting: name=path between commas
 * @throws SettingsError when a name comes twice, or nothing is at a path
 */
export function openDatasets(named: string): Datasets {
  const usual = Object.entries(knownDatasets).flatMap(([name, { folder }]) =>
    folder !== undefined && existsSync(folder) ? [[name, folder] as const] : [],
  );
  const own = named === '' ? [] : named.split(',').map(placeOf);
  const names = own.map(([name]) => name);
  const twice = names.find((name, n) => names.indexOf(name) !== n);
  if (twice !== undefined)
    throw new SettingsError(`--datasets names ${twice} twice; give each data set a name of its own`);
  return new Map([...usual, ...own]);
}

function placeOf(text: string): readonly [name: string, path: string] {
  const at = text.indexOf('=');
  const [name, path] = [text.slice(0, at), resolve(text.slice(at + 1))];
  if (existsSync(path)) return [name, path];
  throw new SettingsError(
    `--datasets: nothing is at ${path}, where ${name} should be; name a folder, an archive or a file`,
  );
}

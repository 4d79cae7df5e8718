import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Option } from 'commander';
import { restoreFolders } from '../../export/files/write.js';
import { ModelError } from '../../export/model/folder.js';
import { MODEL_NAME } from '../../export/model/manifest.js';
import { readConfig, settingOption } from '../common/config.js';

/** The option that names the folder of all models; each model is a folder in it. */
export const modelsOption = (): Option => settingOption('models');

/**
 * The path of a model's folder.
 * @param models the folder of all models; default: that of the environment, else the package's
 * @throws Error when a model cannot have this name; ModelError when the folder of all models is a file
 */
export function modelFolder(models: string | undefined, name: string): string {
  if (!MODEL_NAME.test(name)) {
    throw new Error(
      `${JSON.stringify(name)} is no name of a model; expected up to 64 lower-case letters, digits, ".", "_" and "-", without .tmp or .old at the end`,
    );
  }
  const folder = readConfig(models === undefined ? {} : { models }).models;
  if (statSync(folder, { throwIfNoEntry: false })?.isFile())
    throw new ModelError(`${folder} is a file; --models names a folder of models`, 'models-missing');
  restoreFolders(folder);
  return join(folder, name);
}

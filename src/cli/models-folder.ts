import { join } from 'node:path';
import type { Option } from 'commander';
import { MODEL_NAME } from '../../export/model/manifest.js';
import { readConfig, settingOption } from '../common/config.js';

/** Where models are kept; each is a folder named after the model. */
export const modelsOption = (): Option => settingOption('models');

/**
 * The folder of a model: in the one given, that of the environment, or the package's.
 * @throws Error when this cannot be a model's name
 */
export function modelFolder(models: string | undefined, name: string): string {
  if (!MODEL_NAME.test(name)) {
    throw new Error(
      `${JSON.stringify(name)} is no name of a model; expected up to 64 lower-case letters, digits, ".", "_" and "-"`,
    );
  }
  return join(readConfig(models === undefined ? {} : { models }).models, name);
}

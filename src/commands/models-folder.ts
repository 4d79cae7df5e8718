import { join } from 'node:path';
import { Option } from 'commander';
import { packagePath } from '../../export/package.js';

/** Where models are kept; each is a folder named after the model. */
export const modelsOption = () =>
  new Option('--models <folder>', 'folder of models').default(packagePath('onnx'), 'onnx');

export const modelFolder = (models: string, name: string): string => join(models, name);

import { join } from 'node:path';
import { packagePath } from '../export/files/package.js';
import { readModelFolder } from '../export/model/folder.js';
import { networkParameters } from '../export/model/graphs.js';
import { specificationOf } from '../export/model/open.js';
import { WEIGHTS_FILE, weightsLayout } from '../export/model/weights.js';
import { buildNetwork } from '../export/networks/index.js';

// The baselines in PyTorch: programs in Python beside this file.

/** Debian's Python, which has PyTorch from python3-torch; PYTHON names another one. */
export const python = process.env.PYTHON ?? '/usr/bin/python3';

/** The arguments of Python that run a baseline. */
export const baseline = (script: string): string[] => ['-B', packagePath('bench', script)];

export const REMEDY =
  'PyTorch did not run. On Debian: apt-get install python3-torch; or name a Python that has PyTorch in PYTHON';

/** What `irevnet_torch.py` needs to build the network of a model folder with its weights. */
export async function torchSettings(folder: string) {
  const manifest = await readModelFolder(folder);
  const parameters = networkParameters(buildNetwork(specificationOf(manifest)));
  const { slots } = weightsLayout(parameters);
  const shapes = parameters.map(({ source, type: { shape } }) => [source.name, { ...slots.get(source.name), shape }]);
  return {
    config: manifest.architecture.config,
    weights: { file: join(folder, WEIGHTS_FILE), slots: Object.fromEntries(shapes) },
  };
}

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ModelError, readManifest, readModelFolder } from './folder.js';
import type { Manifest } from './manifest.js';

/** A model folder and what its manifest says. */
export interface ModelSource {
  readonly folder: string;
  readonly manifest: Manifest;
}

/** Names of hidden folders, and of those that `writeFolder` is writing or replacing. */
const TEMPORARY = /^\.|\.(tmp|old)$/;

export interface ReadModelsOptions {
  /** The only model to read. */
  readonly only?: string | undefined;
  /** Whether graphs and weights must be there and are checked; else only manifests are read. Default: true. */
  readonly files?: boolean;
}

/**
 * Reads and checks the model folders in a folder: all, or only the one named.
 * @returns models in the order of their names
 * @throws ModelError naming the folder or file that is wrong and what was expected
 */
export async function readModels(
  folder: string,
  { only, files = true }: ReadModelsOptions = {},
): Promise<ModelSource[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
    throw new ModelError(`the models folder ${folder} cannot be read (${cause.code})`, 'models-missing', { cause });
  });
  const names = entries.filter((e) => !e.isFile() && !TEMPORARY.test(e.name)).map((e) => e.name);
  if (names.length === 0) {
    throw new ModelError(
      `the models folder ${folder} holds no model folder; export one into it, or name another with --models`,
      'models-missing',
    );
  }
  if (only !== undefined && !names.includes(only)) {
    throw new ModelError(
      `there is no model ${JSON.stringify(only)} in ${folder}; it has: ${names.join(', ')}`,
      'models-missing',
    );
  }
  const wanted = names.filter((name) => only === undefined || name === only).sort();
  return Promise.all(wanted.map((name) => readModel(join(folder, name), name, files)));
}

async function readModel(folder: string, name: string, files: boolean): Promise<ModelSource> {
  const manifest = await (files ? readModelFolder : readManifest)(folder);
  if (manifest.name === name) return { folder, manifest };
  throw new ModelError(`${folder} holds a model named ${manifest.name}: name the folder like the model`);
}

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ModelError, readManifest, readModelFolder } from '../../export/model/folder.js';
import type { ModelSource } from './protocol.js';

/** Folders that are being written, or hidden. */
const PASSING = /^\.|\.(tmp|old)$/;

export interface ReadOptions {
  /** The only model to read. */
  readonly only?: string | undefined;
  /** Whether graphs and weights are there and to be checked; else the manifests are enough. */
  readonly files?: boolean;
}

/**
 * Reads and checks the model folders in a folder: all, or only the one named.
 * @throws ModelError naming the folder or file that is wrong and what was expected
 */
export async function readModels(folder: string, { only, files = true }: ReadOptions = {}): Promise<ModelSource[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
    throw new ModelError(`the models folder ${folder} cannot be read (${cause.code})`, 'models-missing', { cause });
  });
  const names = entries.filter((e) => !e.isFile() && !PASSING.test(e.name)).map((e) => e.name);
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

import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { restoreFolders } from '../files/write.js';
import { ModelError, readManifest, readModelFolder } from './folder.js';
import { MANIFEST_FILE, type Manifest, MODEL_NAME } from './manifest.js';

/** A model folder and what its manifest says. */
export interface ModelSource {
  readonly folder: string;
  readonly manifest: Manifest;
}

/** What a models folder holds. */
export interface ModelsFolder {
  /** In the order of their names. */
  readonly models: readonly ModelSource[];
  /** Why folders in it cannot be used, by their names. */
  readonly damaged: ReadonlyMap<string, ModelError>;
}

export interface ReadOptions {
  /** Whether graphs and weights must be there and are checked; else only the manifest is read. Default: true. */
  readonly files?: boolean;
}

/** Names of hidden folders, and of those that `writeFolder` is writing or replacing. */
const TEMPORARY = /^\.|\.(tmp|old)$/;

/**
 * The names of the model folders in a folder, sorted. Folders that can be none, such as lost+found, are left out.
 * @throws ModelError when there are none
 */
export async function modelNames(folder: string): Promise<string[]> {
  restoreFolders(folder);
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
    throw new ModelError(`the models folder ${folder} cannot be read (${cause.code})`, 'models-missing', { cause });
  });
  const names = entries
    .filter((entry) => !entry.isFile() && !TEMPORARY.test(entry.name))
    .map(({ name }) => name)
    .filter((name) => MODEL_NAME.test(name) || existsSync(join(folder, name, MANIFEST_FILE)));
  if (names.length > 0) return names.sort();
  throw new ModelError(
    `the models folder ${folder} holds no model folder; export one into it, or name another with --models`,
    'models-missing',
  );
}

/** Reads and checks every model folder in a folder. @throws ModelError when there are none */
export async function readModels(folder: string, options: ReadOptions = {}): Promise<ModelsFolder> {
  const damaged = new Map<string, ModelError>();
  const found = (await modelNames(folder)).map((name) =>
    readNamed(folder, name, options).catch((error: unknown) => {
      if (!(error instanceof ModelError)) throw error;
      damaged.set(name, error);
    }),
  );
  const models = (await Promise.all(found)).filter((source) => source !== undefined);
  return { models, damaged };
}

/**
 * Reads and checks one model folder in a folder.
 * @throws ModelError naming the folder or file that is wrong and what was expected
 */
export async function readModel(folder: string, name: string, options: ReadOptions = {}): Promise<ModelSource> {
  const names = await modelNames(folder);
  if (names.includes(name)) return readNamed(folder, name, options);
  throw new ModelError(
    `there is no model ${JSON.stringify(name)} in ${folder}; it has: ${names.join(', ')}`,
    'models-missing',
  );
}

async function readNamed(models: string, name: string, { files = true }: ReadOptions): Promise<ModelSource> {
  const folder = join(models, name);
  const manifest = await (files ? readModelFolder : readManifest)(folder);
  if (manifest.name === name) return { folder, manifest };
  throw new ModelError(`${folder} holds a model named ${manifest.name}: name the folder like the model`);
}

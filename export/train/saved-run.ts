import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../files/write.js';
import { FormatError } from '../formats/errors.js';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.js';
import type { NamedTensors, Tensor } from '../graph/tensor.js';
import type { Recipe } from './recipe.js';

/** All that a run needs to go on: tensors by parameter name, in the layout of the network's definition. */
export interface SavedRun {
  /** Steps that are done. */
  readonly step: number;
  readonly parameters: NamedTensors;
  readonly momentum: NamedTensors;
  readonly statistics: NamedTensors;
  /** A run can be continued with the same recipe only. */
  readonly recipe: Recipe;
  /** SHA-256 of the checkpoint from whose weights the run started; null: random weights. */
  readonly from: string | null;
}

/** A checkpoint that cannot be used; the message names the file or folder and says what to do. */
export class RunError extends Error {
  override readonly name = 'RunError';
}

const FORMAT = '2';
const parts = ['parameters', 'momentum', 'statistics'] as const;

/** The checkpoint of a run folder. */
export const checkpointPath = (folder: string): string => join(folder, 'checkpoint.safetensors');

/** Writes the checkpoint of a run folder, atomically: safetensors, with the recipe as metadata. */
export async function saveRun(folder: string, run: SavedRun): Promise<void> {
  const tensors = new Map<string, Tensor>();
  for (const part of parts) {
    for (const [name, t] of run[part]) tensors.set(`${part}/${name}`, t);
  }
  const { step, recipe, from } = run;
  const metadata = { format: FORMAT, step: String(step), recipe: JSON.stringify({ ...recipe, from }) };
  await writeAtomically(checkpointPath(folder), writeSafetensors({ tensors, metadata }));
}

/**
 * Reads the checkpoint of a run folder.
 * @returns undefined when there is none
 * @throws RunError when the file is damaged or of another version
 */
export async function loadRun(folder: string): Promise<SavedRun | undefined> {
  const path = checkpointPath(folder);
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (bytes === undefined) return undefined;
  try {
    const { tensors, metadata } = readSafetensors(bytes);
    const { format, step, recipe } = metadata;
    if (recipe === undefined) throw new RunError(`${path} holds no recipe: irevnet train has not written it`);
    if (!format || !Object.hasOwn(readers, format))
      throw new RunError(`${path} is of version ${format}, expected ${FORMAT}`);
    const part = (prefix: string): NamedTensors =>
      new Map(
        [...tensors].flatMap(([name, t]) =>
          name.startsWith(`${prefix}/`) ? [[name.slice(prefix.length + 1), t as Tensor<'float32'>]] : [],
        ),
      );
    return {
      step: Number(step),
      ...readers[format]!(JSON.parse(recipe)),
      parameters: part('parameters'),
      momentum: part('momentum'),
      statistics: part('statistics'),
    };
  } catch (error) {
    if (error instanceof FormatError || error instanceof SyntaxError) {
      throw new RunError(`${path} is damaged: ${error.message}. Remove it to start again`);
    }
    throw error;
  }
}

type Origin = Pick<SavedRun, 'recipe' | 'from'>;

/** How the recipe of each version of the format is read. */
const readers: Readonly<Record<string, (stored: Recipe & { from: string | null }) => Origin>> = {
  // All in one object, and without a name of the network: it was that of the data set.
  1: (stored) => {
    const { architecture, config, dataset, from, ...settings } = stored as unknown as Recipe['network'] &
      Recipe['settings'] & { dataset: string; from: string | null };
    return { recipe: { network: { name: dataset, architecture, config }, dataset, settings }, from };
  },
  2: ({ from, ...recipe }) => ({ recipe, from }),
};

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../files/write.js';
import { FormatError } from '../formats/errors.js';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.js';
import type { NamedTensors, Tensor } from '../graph/tensor.js';
import type { Preprocessing } from '../networks/preprocessing.js';
import type { Recipe } from './recipe.js';

/** The state of a run: tensors by parameter name, in the layout of the network's definition. */
export interface RunTensors {
  readonly parameters: NamedTensors;
  readonly momentum: NamedTensors;
  readonly statistics: NamedTensors;
  /** Moving averages; absent where the recipe asks for none. */
  readonly averageParameters?: NamedTensors | undefined;
  readonly averageStatistics?: NamedTensors | undefined;
}

/** All that a run needs to go on. */
export interface SavedRun extends RunTensors {
  /** Steps that are done. */
  readonly step: number;
  /** A run can be continued with the same recipe only. */
  readonly recipe: Recipe;
  /** SHA-256 of the checkpoint from whose weights the run started; null: random weights. */
  readonly from: string | null;
  /** The data it was trained on; null in checkpoints of earlier versions. */
  readonly data: RunData | null;
  /** Of the best checkpoint: the share of the validation images whose label has the highest score. */
  readonly accuracy?: number | undefined;
}

/** Where the data of a run lie, and what a model of it has to know of them. */
export interface RunData {
  /** An absolute path. */
  readonly path: string;
  /** A key of the table of formats. */
  readonly format: string;
  readonly columns: readonly [image: string, label: string] | null;
  /** Names of the classes. */
  readonly labels: readonly string[];
  readonly preprocessing: Preprocessing;
}

/** The checkpoints of a run: that of the last step that was saved, and the one that did best in validation. */
export type Which = 'last' | 'best';

/** A checkpoint that was read. */
export interface Checkpoint {
  readonly which: Which;
  readonly run: SavedRun;
}

const checkpoint = async (folder: string, which: Which): Promise<Checkpoint | undefined> => {
  const run = await loadRun(folder, which);
  return run && { which, run };
};

export const lastCheckpoint = (folder: string): Promise<Checkpoint | undefined> => checkpoint(folder, 'last');

/** The checkpoint that holds the result of a run: the best one where the run validated, else the last one. */
export const resultCheckpoint = async (folder: string): Promise<Checkpoint | undefined> =>
  (await checkpoint(folder, 'best')) ?? lastCheckpoint(folder);

/** A checkpoint that cannot be used; the message names the file or folder and says what to do. */
export class RunError extends Error {
  override readonly name = 'RunError';
}

const FORMAT = '2';
const parts = ['parameters', 'momentum', 'statistics', 'averageParameters', 'averageStatistics'] as const;

/** A checkpoint of a run folder. */
export const checkpointPath = (folder: string, which: Which = 'last'): string =>
  join(folder, which === 'last' ? 'checkpoint.safetensors' : 'best.safetensors');

/** Writes a checkpoint of a run folder, atomically: safetensors, with the recipe as metadata. */
export async function saveRun(folder: string, run: SavedRun, which: Which = 'last'): Promise<void> {
  const tensors = new Map<string, Tensor>();
  for (const part of parts) {
    for (const [name, t] of run[part] ?? []) tensors.set(`${part}/${name}`, t);
  }
  const { step, recipe, from, data, accuracy } = run;
  const metadata = {
    format: FORMAT,
    step: String(step),
    recipe: JSON.stringify({ ...recipe, from, data }),
    ...(accuracy !== undefined && { accuracy: String(accuracy) }),
  };
  await writeAtomically(checkpointPath(folder, which), writeSafetensors({ tensors, metadata }));
}

/** What a run trained, averaged where the run averages. */
export const resultOf = (run: RunTensors): Pick<RunTensors, 'parameters' | 'statistics'> => ({
  parameters: run.averageParameters ?? run.parameters,
  statistics: run.averageStatistics ?? run.statistics,
});

/** The same, all weights together. */
export function weightsOf(run: RunTensors): NamedTensors {
  const { parameters, statistics } = resultOf(run);
  return new Map([...parameters, ...statistics]);
}

/**
 * Reads a checkpoint of a run folder.
 * @returns undefined when there is none
 * @throws RunError when the file is damaged or of another version
 */
export async function loadRun(folder: string, which: Which = 'last'): Promise<SavedRun | undefined> {
  const path = checkpointPath(folder, which);
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (bytes === undefined) return undefined;
  try {
    const { tensors, metadata } = readSafetensors(bytes);
    const { format, step, recipe, accuracy } = metadata;
    if (recipe === undefined) throw new RunError(`${path} holds no recipe: irevnet train has not written it`);
    if (!format || !Object.hasOwn(readers, format))
      throw new RunError(`${path} is of version ${format}, expected ${FORMAT}`);
    const part = (prefix: string): NamedTensors =>
      new Map(
        [...tensors].flatMap(([name, t]) =>
          name.startsWith(`${prefix}/`) ? [[name.slice(prefix.length + 1), t as Tensor<'float32'>]] : [],
        ),
      );
    const averaged = part('averageParameters');
    return {
      step: Number(step),
      ...readers[format]!(JSON.parse(recipe)),
      parameters: part('parameters'),
      momentum: part('momentum'),
      statistics: part('statistics'),
      ...(averaged.size > 0 && { averageParameters: averaged, averageStatistics: part('averageStatistics') }),
      ...(accuracy !== undefined && { accuracy: Number(accuracy) }),
    };
  } catch (error) {
    if (error instanceof FormatError || error instanceof SyntaxError) {
      throw new RunError(`${path} is damaged: ${error.message}. Remove it to start again`);
    }
    throw error;
  }
}

type Origin = Pick<SavedRun, 'recipe' | 'from' | 'data'>;
type Stored = Recipe & { from: string | null; data?: RunData | null };

/** How the recipe of each version of the format is read. */
const readers: Readonly<Record<string, (stored: Stored) => Origin>> = {
  // All in one object, and without a name of the network: it was that of the data set.
  1: (stored) => {
    const { architecture, config, dataset, from, ...settings } = stored as unknown as Recipe['network'] &
      Recipe['settings'] & { dataset: string; from: string | null };
    return { recipe: { network: { name: dataset, architecture, config }, dataset, settings }, from, data: null };
  },
  2: ({ from, data = null, ...recipe }) => ({ recipe, from, data }),
};

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { knownDatasets } from '../../export/data/index.js';
import { noiseImages } from '../../export/data/noise.js';
import { inMemory } from '../../export/data/source.js';
import type { NamedTensors } from '../../export/graph/tensor.js';
import { type ModelParts, manifestInput } from '../../export/model/create.js';
import { networkParameters } from '../../export/model/graphs.js';
import { variantsOf } from '../../export/model/manifest.js';
import { gainfulBatches, measureFolder } from '../../export/model/measure.js';
import { openModel, specificationOf } from '../../export/model/open.js';
import { checkHeadroom } from '../../export/model/validate.js';
import { configurations } from '../../export/networks/configurations.js';
import { buildNetwork, type Specification, withGrid } from '../../export/networks/index.js';
import type { Preprocessing } from '../../export/networks/preprocessing.js';
import { initialSource } from '../../export/train/initialise.js';
import { modelNameOf, readNetwork } from '../../export/train/recipe.js';
import {
  type Checkpoint,
  lastCheckpoint,
  RunError,
  resultCheckpoint,
  type SavedRun,
  weightsOf,
} from '../../export/train/saved-run.js';
import { contentFor, type DataFlags, say, withData, withImages } from './data.js';
import { requireHeadroom } from './headroom.js';
import { readLabels } from './labels.js';

/** Flags of `irevnet export` that say what a model is made of. */
export interface PartsFlags extends DataFlags {
  grid?: number;
  last?: boolean;
  seed: number;
  threads: number;
}

export type NamedParts = ModelParts & { readonly name: string };

/** The network with the grid of the flags, if they name one. */
const regridded = <S extends Specification>(specification: S, { grid }: PartsFlags): S =>
  grid === undefined ? specification : withGrid(specification, grid === 0 ? null : grid);

const NOISE_IMAGES = 4;

/** A network with random weights. @param source its name, or a JSON file @throws ConfigError */
export async function randomParts(source: string, flags: PartsFlags): Promise<NamedParts> {
  const { name, architecture, config } = regridded(await readNetwork(source), flags);
  const network = buildNetwork({ architecture, config });
  const known = Object.hasOwn(configurations, source) ? configurations[source] : undefined;
  const noise = noiseImages(NOISE_IMAGES, network.input, flags.seed);
  const { threads } = flags;
  return {
    name,
    description: `${known?.description ?? architecture}, random weights`,
    architecture,
    config,
    weights: initialSource(networkParameters(network), flags.seed),
    labels: await readLabels(flags.labels, network.classes),
    preprocessing: known?.preprocessing ?? { fit: 'cover', polarity: 'any' },
    training: null,
    measure: (folder) =>
      measureFolder(folder, inMemory(noise), {
        data: 'noise',
        labelled: false,
        batches: { encode: 4, decode: 1 },
        threads,
      }),
  };
}

/** Parts whose labels and preprocessing are those of the data, where they are not given, and which are not yet measured. */
interface Unmeasured extends Omit<NamedParts, 'measure' | 'labels' | 'preprocessing' | 'weights'> {
  readonly labels: readonly string[] | undefined;
  readonly preprocessing: Preprocessing | undefined;
  readonly weights: NamedTensors;
}

/** Completes parts by test images of the data on which they were trained; these are open during `use`. */
function withMeasure<T>(
  parts: Unmeasured,
  usual: string,
  data: DataFlags,
  threads: number,
  use: (parts: NamedParts) => Promise<T>,
): Promise<T> {
  return withData(data, usual, async (dataset) => {
    const labels = parts.labels ?? dataset.labels;
    const preprocessing = parts.preprocessing ?? dataset.preprocessing ?? { fit: 'cover', polarity: 'any' };
    const complete = { ...parts, labels, preprocessing };
    if (!dataset.parts.includes('test')) return use(await measuredOnNoise(complete, threads));
    const content = await contentFor(dataset, 'test', labels);
    const network = buildNetwork(parts);
    return withImages(content, { input: manifestInput(network), preprocessing }, data, async (images) => {
      requireHeadroom(await checkHeadroom(network, parts.weights, images, threads));
      const options = { data: `${usual} test images`, labelled: true, batches: gainfulBatches(network.input), threads };
      return use({ ...complete, measure: (fresh) => measureFolder(fresh, images, options) });
    });
  });
}

async function measuredOnNoise(
  parts: Omit<NamedParts, 'measure' | 'weights'> & { readonly weights: NamedTensors },
  threads: number,
): Promise<NamedParts> {
  say('There are no test images, so the model is measured on noise');
  const network = buildNetwork(parts);
  const noise = inMemory(noiseImages(NOISE_IMAGES, network.input, 1));
  requireHeadroom(await checkHeadroom(network, parts.weights, noise, threads));
  const options = { data: 'noise', labelled: false, batches: { encode: 4, decode: 1 }, threads };
  return { ...parts, measure: (fresh) => measureFolder(fresh, noise, options) };
}

/**
 * The result of a run, with labels, preprocessing and test images of the data it was trained on.
 * @param folder of the run
 * @throws RunError, ConfigError, DatasetError; Error when the grid is too fine
 */
export async function withTrainedParts<T>(
  folder: string,
  flags: PartsFlags,
  use: (parts: NamedParts) => Promise<T>,
): Promise<T> {
  const run = chosen(folder, await (flags.last ? lastCheckpoint : resultCheckpoint)(folder));
  const { architecture, config } = regridded(run.recipe.network, flags);
  const { labels, preprocessing } = run.data ?? {};
  const parts = { ...descriptionOf(run), architecture, config, labels, preprocessing, weights: weightsOf(run) };
  return withMeasure(parts, run.recipe.dataset, dataFlags(run, flags), flags.threads, use);
}

/** The run of a checkpoint; says which it is. @throws RunError when there is none */
function chosen(folder: string, checkpoint: Checkpoint | undefined): SavedRun {
  if (checkpoint === undefined)
    throw new RunError(`${folder} holds no checkpoint; give a folder that irevnet train has written`);
  const { which, run } = checkpoint;
  say(
    `weights after step ${run.step}${which === 'best' ? `, the best in validation (${(100 * run.accuracy!).toFixed(2)}%)` : ''}`,
  );
  return run;
}

function descriptionOf({ recipe, step, from }: SavedRun) {
  const { network, dataset, settings } = recipe;
  const name = modelNameOf(recipe);
  const known = configurations[network.name]?.description ?? network.architecture;
  return {
    name,
    description: name === network.name ? known : `${known}, trained on ${dataset}`,
    training: { dataset, ...settings, from, stepsDone: step },
  };
}

/** Whether a folder is that of a model. */
export const isModelFolder = (folder: string): boolean => existsSync(join(folder, 'manifest.json'));

/**
 * A model once more, with the graphs that this version writes: weights, labels and training are kept, and it is measured
 * anew, on noise where it is not known where its data lie.
 * @throws ModelError, ConfigError; Error when the grid is too fine, or graphs would be lost
 */
export async function withRebuiltParts<T>(
  folder: string,
  flags: PartsFlags,
  use: (parts: NamedParts) => Promise<T>,
): Promise<T> {
  const { manifest, weights } = await openModel(folder);
  const { name, description, labels, preprocessing, training } = manifest;
  const variants = variantsOf(manifest);
  if (variants.length > 0) throw new Error(`${folder} also has ${variants.join(', ')}, which cannot be written again`);
  const { architecture, config } = regridded(specificationOf(manifest), flags);
  const parts = { name, description, architecture, config, weights, labels, preprocessing, training };
  const dataset = training?.dataset;
  if (typeof dataset === 'string' && (flags.data !== undefined || Object.hasOwn(knownDatasets, dataset)))
    return withMeasure(parts, dataset, { ...flags, labels: undefined }, flags.threads, use);
  return use(await measuredOnNoise(parts, flags.threads));
}

/** The data of the run, unless the flags name another place. */
const dataFlags = ({ data, recipe }: SavedRun, flags: PartsFlags): DataFlags => ({
  ...flags,
  labels: undefined,
  dataset: flags.dataset ?? recipe.dataset,
  data: flags.data ?? data?.path,
  format: flags.format ?? (flags.data === undefined ? data?.format : undefined),
  columns: flags.columns ?? data?.columns ?? undefined,
});

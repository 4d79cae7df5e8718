import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { datasetNamed, loadFor } from '../../export/data/index.js';
import { noiseImages } from '../../export/data/noise.js';
import type { ModelParts } from '../../export/model/create.js';
import { networkParameters } from '../../export/model/graphs.js';
import { variantsOf } from '../../export/model/manifest.js';
import { measureFolder } from '../../export/model/measure.js';
import { openModel, specificationOf } from '../../export/model/open.js';
import { checkHeadroom } from '../../export/model/validate.js';
import { configurations } from '../../export/networks/configurations.js';
import { buildNetwork, type Specification, withGrid } from '../../export/networks/index.js';
import { initialSource } from '../../export/train/initialise.js';
import { modelNameOf, readNetwork } from '../../export/train/recipe.js';
import { lastCheckpoint, RunError, resultCheckpoint, weightsOf } from '../../export/train/saved-run.js';
import { requireHeadroom } from './headroom.js';
import { readLabels } from './labels.js';

/** Flags of `irevnet export` that say what a model is made of. */
export interface PartsFlags {
  grid?: number;
  data?: string;
  labels?: string;
  last?: boolean;
  seed: number;
  threads: number;
}

type NamedParts = ModelParts & { readonly name: string };

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
      measureFolder(folder, noise, { data: 'noise', labelled: false, batches: { encode: 4, decode: 1 }, threads }),
  };
}

/** The result of a run. @param folder of the run @throws RunError, ConfigError; Error when the grid is too fine */
export async function trainedParts(folder: string, flags: PartsFlags): Promise<NamedParts> {
  const result = flags.last ? await lastCheckpoint(folder) : await resultCheckpoint(folder);
  if (result === undefined)
    throw new RunError(`${folder} holds no checkpoint; give a folder that irevnet train has written`);
  const { run } = result;
  const { recipe, step, from } = run;
  const chosen = result.which === 'best' ? `, the best in validation (${(100 * run.accuracy!).toFixed(2)}%)` : '';
  process.stderr.write(`weights after step ${step}${chosen}\n`);
  const { dataset } = recipe;
  const { architecture, config } = regridded(recipe.network, flags);
  const network = buildNetwork({ architecture, config });
  const weights = weightsOf(run);
  const images = await loadFor(network, dataset, 'test', flags.data);
  const { threads } = flags;
  requireHeadroom(await checkHeadroom(network, weights, images, threads));
  const name = modelNameOf(recipe);
  const known = configurations[recipe.network.name]?.description ?? architecture;
  const { labels, preprocessing } = datasetNamed(dataset);
  const data = `${dataset} test images`;
  return {
    name,
    description: name === recipe.network.name ? known : `${known}, trained on ${dataset}`,
    architecture,
    config,
    weights,
    labels,
    preprocessing,
    training: { dataset, ...recipe.settings, from, stepsDone: step },
    measure: (fresh) =>
      measureFolder(fresh, images, { data, labelled: true, batches: { encode: 100, decode: 64 }, threads }),
  };
}

/** Whether a folder is that of a model. */
export const isModelFolder = (folder: string): boolean => existsSync(join(folder, 'manifest.json'));

/**
 * A model once more, with the graphs that this version writes: weights, labels and training are kept, and it is measured
 * anew, on noise where it was not trained here.
 * @throws ModelError, ConfigError; Error when the grid is too fine, or graphs would be lost
 */
export async function rebuiltParts(folder: string, flags: PartsFlags): Promise<NamedParts> {
  const { manifest, weights } = await openModel(folder);
  const { name, description, labels, preprocessing, training } = manifest;
  const variants = variantsOf(manifest);
  if (variants.length > 0) throw new Error(`${folder} also has ${variants.join(', ')}, which cannot be written again`);
  const { architecture, config } = regridded(specificationOf(manifest), flags);
  const network = buildNetwork({ architecture, config });
  const dataset = training?.dataset;
  const labelled = typeof dataset === 'string';
  const images = labelled
    ? await loadFor(network, dataset, 'test', flags.data)
    : noiseImages(NOISE_IMAGES, network.input, flags.seed);
  const { threads } = flags;
  requireHeadroom(await checkHeadroom(network, weights, images, threads));
  const data = labelled ? `${dataset} test images` : 'noise';
  const batches = labelled ? { encode: 100, decode: 64 } : { encode: 4, decode: 1 };
  const measure = (fresh: string) => measureFolder(fresh, images, { data, labelled, batches, threads });
  return { name, description, architecture, config, weights, labels, preprocessing, training, measure };
}

import { datasetNamed, loadFor } from '../../export/data/index.js';
import { noiseImages } from '../../export/data/noise.js';
import type { ModelParts } from '../../export/model/create.js';
import { networkParameters } from '../../export/model/graphs.js';
import { measureFolder } from '../../export/model/measure.js';
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

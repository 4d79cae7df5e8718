import { basename } from 'node:path';
import { datasets } from '../../export/data/datasets.js';
import { noiseImages } from '../../export/data/noise.js';
import type { ModelParts } from '../../export/model/create.js';
import { networkParameters } from '../../export/model/graphs.js';
import { measureFolder } from '../../export/model/measured.js';
import { checkHeadroom } from '../../export/model/validate.js';
import { configurations } from '../../export/networks/configurations.js';
import { buildNetwork, type Specification, withGrid } from '../../export/networks/index.js';
import { readSpecification } from '../../export/networks/read.js';
import { CheckpointError, loadCheckpoint } from '../../export/train/checkpoint.js';
import { initialSource } from '../../export/train/initialise.js';
import { checkpointPath, type Recipe } from '../../export/train/loop.js';
import { requireHeadroom } from './headroom.js';
import { readLabels } from './labels.js';

/** Flags of `irevnet export` that say what a model is made of. */
export interface PartsFlags {
  grid?: number;
  data?: string;
  labels?: string;
  seed: number;
  threads: number;
}

type NamedParts = ModelParts & { readonly name: string };

/** The network with the grid that was asked for. */
const regridded = <S extends Specification>(specification: S, { grid }: PartsFlags): S =>
  grid === undefined ? specification : withGrid(specification, grid === 0 ? null : grid);

const NOISE_IMAGES = 4;

/** A network with random weights. @param source its name, or a JSON file @throws ConfigError */
export async function randomParts(source: string, flags: PartsFlags): Promise<NamedParts> {
  const known = regridded(await readSpecification(source), flags);
  const network = buildNetwork(known);
  const noise = noiseImages(NOISE_IMAGES, network.input, flags.seed);
  const { threads } = flags;
  return {
    name: nameOf(source),
    description: `${known.description ?? known.architecture}, random weights`,
    architecture: known.architecture,
    config: known.config,
    weights: initialSource(networkParameters(network), flags.seed),
    labels: (flags.labels ? undefined : datasets[source]?.labels) ?? (await readLabels(flags.labels, network.classes)),
    preprocessing: known.preprocessing ?? { fit: 'cover', polarity: 'any' },
    training: null,
    measure: (folder) =>
      measureFolder(folder, noise, { data: 'noise', labelled: false, batches: { encode: 4, decode: 1 }, threads }),
  };
}

/** The name of a network, or that of a JSON file without folder and ending. */
const nameOf = (source: string): string => basename(source, '.json');

/** What a run has trained. @param run its folder @throws CheckpointError, ConfigError; Error when the grid is too fine */
export async function trainedParts(run: string, flags: PartsFlags): Promise<NamedParts> {
  const checkpoint = await loadCheckpoint(checkpointPath(run));
  if (checkpoint === undefined)
    throw new CheckpointError(`${run} holds no checkpoint; give a folder that irevnet train has written`);
  const recipe = regridded(checkpoint.recipe as Recipe, flags);
  const dataset = datasets[recipe.dataset]!;
  const network = buildNetwork(recipe);
  const weights = new Map([...checkpoint.parameters, ...checkpoint.statistics]);
  const images = await dataset.load(flags.data ?? dataset.folder, 'test');
  const { threads } = flags;
  requireHeadroom(await checkHeadroom(network, weights, images, threads));
  const { config, architecture, ...training } = recipe;
  const data = `${recipe.dataset} test images`;
  return {
    name: recipe.dataset,
    description: configurations[recipe.dataset]?.description ?? `${architecture} trained on ${recipe.dataset}`,
    architecture,
    config,
    weights,
    labels: dataset.labels,
    preprocessing: dataset.preprocessing,
    training: { ...training, stepsDone: checkpoint.step },
    measure: (folder) =>
      measureFolder(folder, images, { data, labelled: true, batches: { encode: 100, decode: 64 }, threads }),
  };
}

import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { Argument, Command } from 'commander';
import { configurations } from '../../export/architectures/configurations.js';
import { buildNetwork, type Specification, withGrid } from '../../export/architectures/index.js';
import { readSpecification } from '../../export/architectures/read.js';
import { createModel, type ModelParts } from '../../export/model/create.js';
import { networkParameters } from '../../export/model/graphs.js';
import { measureFolder } from '../../export/model/measured.js';
import { noiseImages } from '../../export/model/noise.js';
import { checkHeadroom } from '../../export/model/validate.js';
import { CheckpointError, loadCheckpoint } from '../../export/train/checkpoint.js';
import { datasets } from '../../export/train/dataset.js';
import { initialSource } from '../../export/train/initialise.js';
import { checkpointPath, type Recipe } from '../../export/train/loop.js';
import { byteProgress } from '../progress.js';
import { requireHeadroom } from './headroom.js';
import { readLabels } from './labels.js';
import { modelFolder, modelsOption } from './models-folder.js';
import { whole } from './numbers.js';

interface Flags {
  name?: string;
  models?: string;
  grid?: number;
  data?: string;
  labels?: string;
  randomWeights: boolean;
  seed: number;
  threads: number;
  json: boolean;
}

/** `irevnet export`: makes a model folder of a trained run, or of random weights. */
export const exportCommand = new Command('export')
  .description('write Φ, Φ⁻¹, their weights and the manifest of a trained run')
  .addArgument(
    new Argument('<source>', 'run folder of `irevnet train`; with --random-weights a network or a JSON file'),
  )
  .option('--name <name>', 'name of the model (default: the data set’s or the network’s)')
  .addOption(modelsOption())
  .option('--grid <k>', 'put the streams on multiples of 2^-k; 0: plain floats (default: as configured)', whole(0))
  .option('--data <folder>', 'data set to measure accuracy and inversion on')
  .option('--random-weights', 'a runnable model that has learned nothing, for tests and benchmarks', false)
  .option('--seed <n>', 'seed of random weights', whole(0), 1)
  .option('--labels <file>', 'class names, one a line, for random weights (default: numbers)')
  .option('--threads <n>', 'threads for measuring', whole(1), availableParallelism())
  .option('--json', 'print the manifest as JSON', false)
  .addHelpText('after', `\nNetworks: ${Object.keys(configurations).join(', ')}.`)
  .action(async (source: string, flags: Flags) => {
    const { name, ...parts } = flags.randomWeights
      ? await randomParts(source, flags)
      : await trainedParts(source, flags);
    const folder = modelFolder(flags.models, flags.name ?? name);
    const manifest = await createModel(folder, { ...parts, progress: byteProgress(process.stderr, 'weights') });
    process.stdout.write(flags.json ? `${JSON.stringify(manifest)}\n` : `${folder}\n`);
  });

/** The network with the grid that was asked for. */
const regridded = <S extends Specification>(specification: S, { grid }: Flags): S =>
  grid === undefined ? specification : withGrid(specification, grid === 0 ? null : grid);

const NOISE_IMAGES = 4;

async function randomParts(source: string, flags: Flags): Promise<ModelParts & { name: string }> {
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

async function trainedParts(run: string, flags: Flags): Promise<ModelParts & { name: string }> {
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

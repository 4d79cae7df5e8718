import { availableParallelism } from 'node:os';
import { Argument, Command } from 'commander';
import { configurations } from '../../export/architectures/configurations.js';
import { buildNetwork } from '../../export/architectures/index.js';
import { createModel, type ModelParts } from '../../export/model/create.js';
import { networkParameters } from '../../export/model/graphs.js';
import { measure } from '../../export/model/measure.js';
import { buildGraphs, closeGraphs } from '../../export/model/open.js';
import { checkHeadroom } from '../../export/model/validate.js';
import { seeded } from '../../export/random.js';
import { CheckpointError, loadCheckpoint } from '../../export/train/checkpoint.js';
import { datasets } from '../../export/train/dataset.js';
import { initialise } from '../../export/train/initialise.js';
import { checkpointPath, type Recipe } from '../../export/train/loop.js';
import { modelFolder, modelsOption } from './models-folder.js';
import { whole } from './numbers.js';

interface Flags {
  name?: string;
  models: string;
  grid?: number;
  data?: string;
  randomWeights: boolean;
  seed: number;
  threads: number;
  json: boolean;
}

/** `irevnet export`: makes a model folder of a trained run, or of random weights. */
export const exportCommand = new Command('export')
  .description('write Φ, Φ⁻¹, their weights and the manifest of a trained run')
  .addArgument(
    new Argument('<run>', 'run folder of `irevnet train`; with --random-weights the name of a configuration'),
  )
  .option('--name <name>', 'name of the model (default: the data set’s or the configuration’s)')
  .addOption(modelsOption())
  .option('--grid <k>', 'put the streams on multiples of 2^-k; 0: plain floats (default: as configured)', whole(0))
  .option('--data <folder>', 'data set to measure accuracy and inversion on')
  .option('--random-weights', 'a runnable model that has learned nothing, for tests and benchmarks', false)
  .option('--seed <n>', 'seed of random weights', whole(0), 1)
  .option('--threads <n>', 'threads for measuring', whole(1), availableParallelism())
  .option('--json', 'print the manifest as JSON', false)
  .action(async (source: string, flags: Flags) => {
    const { name, ...parts } = flags.randomWeights ? randomParts(source, flags) : await trainedParts(source, flags);
    const folder = modelFolder(flags.models, flags.name ?? name);
    const manifest = await createModel(folder, parts);
    process.stdout.write(flags.json ? `${JSON.stringify(manifest)}\n` : `${folder}\n`);
  });

/** The configuration with the grid that was asked for. */
const regridded = (config: Recipe['config'], grid: number | undefined): Recipe['config'] =>
  grid === undefined ? config : { ...config, grid: grid === 0 ? null : grid };

function randomParts(source: string, flags: Flags): ModelParts & { name: string } {
  const known = configurations[source];
  if (known === undefined)
    throw new Error(`unknown configuration ${source}; there are: ${Object.keys(configurations).join(', ')}`);
  const config = regridded(known.config, flags.grid);
  const network = buildNetwork(known.architecture, config);
  return {
    name: source,
    description: `${known.description}, random weights`,
    architecture: known.architecture,
    config,
    weights: initialise(networkParameters(network), seeded(flags.seed)),
    labels: datasets[source]?.labels ?? Array.from({ length: network.classes }, (_, i) => `class ${i}`),
    preprocessing: datasets[source]?.preprocessing ?? { fit: 'cover', polarity: 'any' },
    training: null,
    measured: null,
  };
}

async function trainedParts(run: string, flags: Flags): Promise<ModelParts & { name: string }> {
  const checkpoint = await loadCheckpoint(checkpointPath(run));
  if (checkpoint === undefined)
    throw new CheckpointError(`${run} holds no checkpoint; give a folder that irevnet train has written`);
  const recipe = checkpoint.recipe as Recipe;
  const dataset = datasets[recipe.dataset]!;
  const config = regridded(recipe.config, flags.grid);
  const network = buildNetwork(recipe.architecture, config);
  const weights = new Map([...checkpoint.parameters, ...checkpoint.statistics]);
  const images = await dataset.load(flags.data ?? dataset.folder, 'test');
  const check = await checkHeadroom(network, weights, images, flags.threads);
  if (check.outcome === 'failed') throw new Error(`${check.check}: ${check.detail}`);
  if (check.outcome === 'warning') process.stderr.write(`warning: ${check.check}: ${check.detail}\n`);
  const graphs = await buildGraphs(network, weights, flags.threads);
  const { correct, inversion } = await measure(graphs, images, { encode: 100, decode: 64 });
  await closeGraphs(graphs);
  const { config: _, architecture: __, ...training } = recipe;
  return {
    name: recipe.dataset,
    description: configurations[recipe.dataset]?.description ?? `${recipe.architecture} trained on ${recipe.dataset}`,
    architecture: recipe.architecture,
    config,
    weights,
    labels: dataset.labels,
    preprocessing: dataset.preprocessing,
    training: { ...training, stepsDone: checkpoint.step },
    measured: { images: images.count, accuracy: correct / images.count, inversion },
  };
}

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { Content, Dataset } from '../../export/data/index.js';
import { sha256 } from '../../export/files/write.js';
import { manifestInput } from '../../export/model/create.js';
import { MANIFEST_FILE } from '../../export/model/manifest.js';
import { openModel } from '../../export/model/open.js';
import { WEIGHTS_FILE } from '../../export/model/weights.js';
import { configurations } from '../../export/networks/configurations.js';
import { buildNetwork } from '../../export/networks/index.js';
import type { Preprocessing } from '../../export/networks/preprocessing.js';
import { combined, jsonLines } from '../../export/train/log.js';
import { train } from '../../export/train/loop.js';
import {
  checkSettings,
  DEFAULT_RECIPE,
  modelNameOf,
  type Recipe,
  readNetwork,
  readRecipe,
  recipeNames,
  type Settings,
} from '../../export/train/recipe.js';
import { checkpointPath, type RunData, RunError, resultCheckpoint, weightsOf } from '../../export/train/saved-run.js';
import { type From, startOf } from '../../export/train/start.js';
import { type Config, executionProviders } from '../common/config.js';
import { chooseProvider } from '../engine/local.js';
import { addDataOptions, type DataFlags, say, withData, withImages } from './data.js';
import { INTERRUPTED, stopOnSignals } from './interrupt.js';
import { between, epochs, positive, share, whole } from './numbers.js';
import { trainingProgress } from './progress.js';
import { changesOf, lookAt, networkFor, preprocessingFor, settingsFor, usualRecipe } from './train-data.js';

interface Flags extends DataFlags {
  recipe?: string;
  config?: string;
  from?: string;
  output?: string;
  epochs?: number;
  steps?: number;
  batch?: number;
  learningRate?: number;
  schedule?: Settings['schedule']['kind'];
  momentum?: number;
  weightDecay?: number;
  labelSmoothing?: number;
  residualPenalty?: number;
  decayAfter?: number[];
  decayFactor?: number;
  average?: number;
  reversible?: boolean;
  resizedCrop?: number;
  shift?: number;
  flip?: boolean;
  erase?: number;
  validation?: number;
  seed?: number;
  threads: number;
  executionProvider: Config['executionProvider'];
  device: number;
  checkpointEvery: number;
  json: boolean;
}

/** `irevnet train`: trains a network, or goes on with a run that was stopped. */
export const trainCommand = addDataOptions(
  new Command('train')
    .description('train a network; run again with the same settings to go on where it stopped')
    .option(
      '--recipe <name or file>',
      `network, data set and settings; the flags below override it (default: as the data are, else ${DEFAULT_RECIPE})`,
    ),
)
  .option('--labels <file>', 'names of the classes of the data, or lines of a class and its name')
  .option('--config <name or file>', `network: ${Object.keys(configurations).join(', ')}, or a JSON file`)
  .option('--output <folder>', 'run folder: checkpoint and metrics (default: runs/<network>-<dataset>)')
  .option('--from <folder>', 'start from the weights of another run, or of a model folder, instead of random ones')
  .option('--epochs <n>', 'passes over the training set', whole(1))
  .option('--steps <n>', 'stop after this many steps of the same schedule; 0: none', whole(0))
  .option('--batch <n>', 'images a step', whole(2))
  .option('--learning-rate <x>', 'peak of the schedule', positive)
  .addOption(new Option('--schedule <kind>', 'course of the learning rate').choices(['one-cycle', 'cosine', 'steps']))
  .option(
    '--decay-after <epochs>',
    'of the schedule steps: epochs with commas between, after which the rate falls',
    epochs,
  )
  .option('--decay-factor <x>', 'of the schedule steps: what the rate is multiplied by', share)
  .option('--momentum <x>', 'Nesterov momentum', between(0, 1))
  .option('--weight-decay <x>', 'L2 penalty on every parameter', between(0, 1))
  .option('--label-smoothing <x>', 'share of a label spread over all classes', between(0, 1))
  .option('--residual-penalty <x>', 'weight in the loss of what the blocks add to the streams', between(0, 10))
  .option('--average <x>', 'decay of a moving average of the weights, such as 0.999; 0: none', between(0, 1))
  .option('--resized-crop <x>', 'smallest share of the area in a random crop, scaled to the whole image', share)
  .option('--shift <pixels>', 'largest random shift; black fills what becomes free', whole(0))
  .option('--flip', 'mirror half of the images at random')
  .option('--no-flip', 'no random mirroring')
  .option('--erase <x>', 'share of the images in which a random rectangle is erased', between(0, 1))
  .option(
    '--reversible',
    'recompute activations by the inverses of blocks: memory hardly grows with depth, a step takes longer',
  )
  .option('--no-reversible', 'keep activations')
  .option(
    '--validation <n>',
    'training images set aside to validate on, after every epoch; they choose best.safetensors',
    whole(0),
  )
  .option('--seed <n>', 'seed of everything random', whole(0))
  .option(
    '--threads <n>',
    'threads; results are the same bits only for the same number',
    whole(1),
    availableParallelism(),
  )
  .addOption(
    new Option('--execution-provider <name>', 'what computes: cpu, cuda, or auto (cuda where it works)')
      .choices([...executionProviders])
      .default('cpu'),
  )
  .option('--device <n>', 'the number of the GPU that CUDA uses', whole(0), 0)
  .option('--checkpoint-every <n>', 'steps between checkpoints', whole(1), 200)
  .option('--json', 'print the result as JSON', false)
  .addHelpText(
    'after',
    `\nRecipes: ${recipeNames.join(', ')}, or a JSON file such as those in export/train/recipes. A flag that is not given is as in the recipe.`,
  )
  .action(async (flags: Flags) => {
    const wanted = await recipeNamed(flags);
    await withData(flags, wanted?.dataset ?? DEFAULT_RECIPE, (dataset, signals) =>
      trainOn(dataset, wanted, flags, signals),
    );
  });

/** The recipe that the flags name; undefined where the data decide. */
const recipeNamed = async ({ recipe, data }: Flags): Promise<Recipe | undefined> =>
  recipe === undefined && data !== undefined ? undefined : readRecipe(recipe ?? DEFAULT_RECIPE);

async function trainOn(
  dataset: Dataset,
  wanted: Recipe | undefined,
  flags: Flags,
  signals: { end(): void },
): Promise<void> {
  const content = await dataset.load('train');
  const { recipe, preprocessing } = await planned(dataset, content, wanted, flags);
  const folder = flags.output ?? join('runs', modelNameOf(recipe));
  const from = flags.from === undefined ? undefined : await startFrom(flags.from);
  if (from) sayRandom(recipe, from);
  const { path, format, labels } = dataset;
  const data: RunData = { path: resolve(path), format, columns: flags.columns ?? null, labels, preprocessing };
  const input = manifestInput(buildNetwork(recipe.network));
  const log = combined([jsonLines(join(folder, 'metrics.jsonl')), trainingProgress(process.stderr)]);
  const { threads, checkpointEvery } = flags;
  const { provider, because } = await chooseProvider(flags.executionProvider, [flags.device]);
  if (because !== undefined) say(`The CPU computes, since CUDA does not work: ${because}`);
  const device = { provider, id: flags.device };
  const result = await withImages(content, { input, preprocessing }, flags, (images) => {
    signals.end();
    const stop = stopOnSignals('saving; send the signal again to end at once');
    const options = { recipe, from, images, data, folder, threads, device, checkpointEvery };
    return train({ ...options, signal: stop.signal, log }).finally(stop.end);
  });
  process.stdout.write(
    flags.json
      ? `${JSON.stringify({ folder, ...result })}\n`
      : `${result.outcome} at step ${result.step} of ${result.total}: ${folder}\n`,
  );
  if (result.outcome === 'interrupted') process.exitCode = INTERRUPTED;
}

/** The weights of a run folder or a model folder, with the hash by which the new run remembers them. */
async function startFrom(folder: string): Promise<From> {
  if (existsSync(join(folder, MANIFEST_FILE))) {
    const { manifest, weights } = await openModel(folder);
    const path = join(folder, WEIGHTS_FILE);
    return { title: `the model ${manifest.name}`, weights, sha256: sha256(await readFile(path)) };
  }
  const result = await resultCheckpoint(folder);
  if (result === undefined)
    throw new RunError(`${folder} holds no checkpoint and no model; give the folder of a run or of a model`);
  const { run, which } = result;
  const path = checkpointPath(folder, which);
  return {
    title: `the run of ${run.recipe.network.name}`,
    weights: weightsOf(run),
    sha256: sha256(await readFile(path)),
  };
}

/** Says which layers do not start from the weights that were given. */
function sayRandom({ network, settings }: Recipe, from: From): void {
  const { random } = startOf(buildNetwork(network), settings.seed, from);
  if (random.length > 0)
    say(`The classes are others than those of ${from.title}: ${random.join(', ')} start at random`);
}

/** The recipe that is named or one for such data, with the flags' settings; the network with the data's classes and size. */
async function planned(
  dataset: Dataset,
  content: Content,
  wanted: Recipe | undefined,
  flags: Flags,
): Promise<{ recipe: Recipe; preprocessing: Preprocessing }> {
  const look = await lookAt(content);
  const name = usualRecipe(dataset, look);
  const recipe = wanted ?? (await readRecipe(name));
  const usual = wanted ? recipe.settings : settingsFor(recipe.settings, content.labels.length);
  if (!wanted)
    say(
      `Settings are those of the recipe ${name}: batches of ${usual.batch}, ${usual.validation} images to validate on`,
    );
  const before = flags.config === undefined ? recipe.network : await readNetwork(flags.config);
  const network = networkFor(before, dataset, content.kind, look);
  const changes = changesOf(before, network);
  if (changes !== '') say(`The network ${network.name} gets ${changes}`);
  return {
    recipe: { network, dataset: dataset.name, settings: settingsOf(usual, flags) },
    preprocessing: preprocessingFor(dataset, before, network),
  };
}

/** The settings of a recipe, with what the flags say instead. */
function settingsOf(settings: Settings, flags: Flags): Settings {
  const { schedule, augmentation } = settings;
  const changed: Settings = {
    ...settings,
    ...given(flags, [
      'epochs',
      'steps',
      'batch',
      'momentum',
      'weightDecay',
      'labelSmoothing',
      'residualPenalty',
      'average',
      'reversible',
      'validation',
      'seed',
    ]),
    schedule: {
      // Another kind of schedule keeps no decay of the recipe's.
      ...(flags.schedule === undefined || flags.schedule === schedule.kind
        ? schedule
        : { kind: flags.schedule, peak: schedule.peak }),
      ...(flags.learningRate !== undefined && { peak: flags.learningRate }),
      ...given(flags, ['decayAfter', 'decayFactor']),
    },
    augmentation: { ...augmentation, ...given(flags, ['resizedCrop', 'shift', 'flip', 'erase']) },
  };
  checkSettings(changed, 'the flags');
  return changed;
}

/** The flags of these names that were given. */
const given = <K extends keyof Flags>(flags: Flags, names: readonly K[]): Partial<Pick<Flags, K>> =>
  Object.fromEntries(names.flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]]))) as Partial<
    Pick<Flags, K>
  >;

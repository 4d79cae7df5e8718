import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { datasets } from '../../export/data/datasets.js';
import { sha256 } from '../../export/files/write.js';
import { configurations } from '../../export/networks/configurations.js';
import { readSpecification } from '../../export/networks/read.js';
import { type Checkpoint, CheckpointError, loadCheckpoint } from '../../export/train/checkpoint.js';
import { checkpointPath, type Recipe, train } from '../../export/train/loop.js';
import { everywhere, jsonLines } from '../../export/train/metrics.js';
import { between, positive, whole } from './numbers.js';
import { trainingProgress } from './progress.js';

interface Flags {
  dataset: string;
  data?: string;
  config?: string;
  from?: string;
  output?: string;
  epochs: number;
  steps: number;
  batch: number;
  learningRate: number;
  schedule: 'one-cycle' | 'cosine';
  momentum: number;
  weightDecay: number;
  labelSmoothing: number;
  residualPenalty: number;
  shift: number;
  flip: boolean;
  validation: number;
  seed: number;
  threads: number;
  checkpointEvery: number;
  json: boolean;
}

/** `irevnet train`: trains a network, or goes on with a run that was stopped. */
export const trainCommand = new Command('train')
  .description('train a network; run again with the same settings to go on where it stopped')
  .addOption(new Option('--dataset <name>', 'what to train on').choices(Object.keys(datasets)).default('fashion-mnist'))
  .option('--data <folder>', 'where the data set lies (default: where Debian installs it)')
  .option(
    '--config <name or file>',
    `network: ${Object.keys(configurations).join(', ')}, or a JSON file (default: the data set's)`,
  )
  .option('--output <folder>', 'run folder: checkpoint and metrics (default: runs/<dataset>)')
  .option('--from <run>', 'start from the weights of another run instead of random ones')
  .option('--epochs <n>', 'passes over the training set', whole(1), 30)
  .option('--steps <n>', 'stop after this many steps of the same schedule; 0: none', whole(0), 0)
  .option('--batch <n>', 'images a step', whole(2), 128)
  .option('--learning-rate <x>', 'peak of the schedule', positive, 0.1)
  .addOption(
    new Option('--schedule <kind>', 'course of the learning rate')
      .choices(['one-cycle', 'cosine'])
      .default('one-cycle'),
  )
  .option('--momentum <x>', 'Nesterov momentum', between(0, 1), 0.9)
  .option('--weight-decay <x>', 'L2 penalty on every parameter', between(0, 1), 5e-4)
  .option('--label-smoothing <x>', 'share of a label spread over all classes', between(0, 1), 0.1)
  .option('--residual-penalty <x>', 'weight in the loss of what the blocks add to the streams', between(0, 10), 0)
  .option('--shift <pixels>', 'largest random shift', whole(0), 2)
  .option('--no-flip', 'no random mirroring')
  .option('--validation <n>', 'training images set aside to validate on', whole(0), 5000)
  .option('--seed <n>', 'seed of everything random', whole(0), 1)
  .option(
    '--threads <n>',
    'threads; results are the same bits only for the same number',
    whole(1),
    availableParallelism(),
  )
  .option('--checkpoint-every <n>', 'steps between checkpoints', whole(1), 200)
  .option('--json', 'print the result as JSON', false)
  .action(async (flags: Flags) => {
    const dataset = datasets[flags.dataset]!;
    const folder = flags.output ?? join('runs', flags.dataset);
    const images = await dataset.load(flags.data ?? dataset.folder, 'train');
    const from = flags.from === undefined ? undefined : await weightsOf(flags.from);
    const recipe = { ...(await recipeOf(flags)), from: from?.sha256 ?? null };
    const stop = new AbortController();
    const interrupt = () => {
      if (stop.signal.aborted) process.exit(130);
      stop.abort();
      process.stderr.write('\nsaving; once more to leave at once\n');
    };
    process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
    const metrics = everywhere([jsonLines(join(folder, 'metrics.jsonl')), trainingProgress(process.stderr)]);
    const { threads, checkpointEvery } = flags;
    const result = await train({
      recipe,
      from: from?.checkpoint,
      images,
      folder,
      threads,
      checkpointEvery,
      signal: stop.signal,
      metrics,
    });
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    const summary = { folder, ...result };
    process.stdout.write(
      flags.json
        ? `${JSON.stringify(summary)}\n`
        : `${result.outcome} at step ${result.step} of ${result.total}: ${folder}\n`,
    );
    if (result.outcome === 'interrupted') process.exitCode = 130;
  });

/** The checkpoint of a run that is to be started from. */
async function weightsOf(run: string): Promise<{ checkpoint: Checkpoint; sha256: string }> {
  const path = checkpointPath(run);
  const checkpoint = await loadCheckpoint(path);
  if (checkpoint === undefined) throw new CheckpointError(`${run} holds no checkpoint; give the folder of another run`);
  return { checkpoint, sha256: sha256(await readFile(path)) };
}

async function recipeOf(flags: Flags): Promise<Omit<Recipe, 'from'>> {
  const { epochs, steps, batch, momentum, weightDecay, labelSmoothing, residualPenalty, validation, seed, dataset } =
    flags;
  const { architecture, config } = await readSpecification(flags.config ?? dataset);
  return {
    architecture,
    config,
    dataset,
    validation,
    epochs,
    steps,
    batch,
    momentum,
    weightDecay,
    labelSmoothing,
    residualPenalty,
    schedule: { peak: flags.learningRate, kind: flags.schedule },
    augmentation: { shift: flags.shift, flip: flags.flip },
    seed,
  };
}

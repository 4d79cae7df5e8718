import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import type { Images } from '../../export/data/images.js';
import { type Model, openModel } from '../../export/model/open.js';
import type { Context, Pictures } from '../analysis/context.js';
import type { Outcome } from '../analysis/each.js';
import { AnalysisError } from '../analysis/errors.js';
import { readConfig, SettingsError, settingOption } from '../common/config.js';
import type { Invert } from '../images/steps.js';
import { prepareBatch } from '../operations/images.js';
import { addDataOptions, analysisData, type DataFlags } from './analysis-data.js';
import { addCacheOptions, type CacheFlags, cacheOf } from './feature-cache.js';
import { readInputs } from './files.js';
import { cleanUpOnSignals } from './interrupt.js';
import { invertOption } from './invert.js';
import { modelFolder, modelsOption } from './models-folder.js';
import { whole } from './numbers.js';
import { stageProgress } from './progress.js';
import { supervised } from './supervised.js';

/** Flags of what experiments work on, and with. */
export interface ContextFlags extends DataFlags, CacheFlags {
  readonly models?: string;
  readonly maxPixels?: string;
  readonly pictures?: readonly string[];
  readonly invert: Invert;
  readonly threads: number;
  readonly supervised?: true;
}

export function addContextOptions(command: Command): Command {
  addDataOptions(command.argument('<model>', 'name of the model').addOption(modelsOption()))
    .option('--pictures <files...>', 'pictures of your own, for experiments that look at single ones')
    .addOption(invertOption())
    .addOption(settingOption('maxPixels'))
    .option('--threads <n>', 'threads', whole(1), availableParallelism());
  return addCacheOptions(command);
}

/**
 * Opens the model and its data. With --supervised, progress and what fails are told to the parent process. A signal that ends the
 * process leaves no half-written file.
 * @param use gets a function that writes a line beside the progress
 */
export async function withContext(
  name: string,
  flags: ContextFlags,
  use: (context: Context, say: (line: string) => void) => Promise<void>,
): Promise<void> {
  const cleanUp = cleanUpOnSignals();
  const supervisor = flags.supervised && supervised();
  const shown = stageProgress(process.stderr);
  const progress = supervisor ?? shown;
  try {
    const model = await openModel(modelFolder(flags.models, name));
    const context = {
      model,
      data: await analysisData(model, flags),
      pictures: flags.pictures && (await readPictures(flags.pictures, model, flags)),
      threads: flags.threads,
      cache: cacheOf(flags),
      progress: progress.show,
      signal: new AbortController().signal,
    };
    await use(context, shown.say);
  } catch (error) {
    supervisor?.failed(error as Error);
    throw error;
  } finally {
    progress.end();
    cleanUp.end();
  }
}

async function readPictures(paths: readonly string[], { manifest }: Model, flags: ContextFlags): Promise<Pictures> {
  const { maxPixels } = readConfig(flags.maxPixels === undefined ? {} : { maxPixels: flags.maxPixels });
  const files = await readInputs(paths);
  const { pixels } = await prepareBatch(files, manifest, { invert: flags.invert, maxPixels, names: paths });
  const { height, width, channels } = manifest.input;
  const labels = new Uint16Array(paths.length);
  const images: Images = { count: paths.length, height, width, channels, pixels: pixels.data, labels };
  return { names: paths, images };
}

/** How an experiment among several ended, in a line. */
export function ended({ experiment: { name }, seconds, ...ending }: Outcome): string {
  return ending.kind === 'done'
    ? `${name}: done in ${Math.round(seconds)} s`
    : `${name} ${ending.kind}: ${ending.reason}`;
}

/** Runs a function; what it says of a wrong experiment or option is wrong usage of the command. */
export async function asUsage<T>(run: () => T | Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const usage = error instanceof AnalysisError && ['unknown-experiment', 'option-invalid'].includes(error.problem);
    throw usage ? new SettingsError(error.message, { cause: error }) : error;
  }
}

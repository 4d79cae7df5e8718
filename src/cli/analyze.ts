import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import type { Images } from '../../export/data/images.js';
import { writeAtomically } from '../../export/files/write.js';
import { type Model, openModel } from '../../export/model/open.js';
import type { Context, Pictures } from '../analysis/context.js';
import { AnalysisError } from '../analysis/errors.js';
import { type Experiment, runExperiment } from '../analysis/experiment.js';
import { experimentNamed, experiments } from '../analysis/experiments.js';
import { type Figure, type FigureFormat, figureFormats } from '../analysis/figure.js';
import { readConfig, SettingsError, settingOption } from '../common/config.js';
import { schemaOptions } from '../common/schema-options.js';
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
import { type Supervisor, supervised } from './supervised.js';

interface Flags extends DataFlags, CacheFlags {
  readonly models?: string;
  readonly maxPixels?: string;
  readonly pictures?: readonly string[];
  readonly invert: Invert;
  readonly threads: number;
  readonly figure: readonly string[];
  readonly supervised?: true;
}

const ALL = 'all';

const endings = Object.keys(figureFormats)
  .map((format) => `.${format}`)
  .join(', ');

const AFTER = `
Results are JSON on the standard output. A figure is written as its ending says: .svg, .png, or .json for the Vega-Lite
specification; of "all", each experiment's under its own name, such as out-pca.svg for out.svg. Features are kept between
runs; an interrupted run goes on where it stopped.`;

/** `irevnet analyze`: the experiments, each a command of its own with its options. */
export const analyzeCommand = new Command('analyze')
  .description('run an experiment on a model, and print its result as JSON')
  .usage('<experiment> <model> [options]')
  .addHelpText('after', AFTER);
for (const one of Object.values(experiments)) analyzeCommand.addCommand(experimentCommand(one));
analyzeCommand.addCommand(
  addOptions(
    new Command(ALL).description('every experiment that the model and the data allow, with its defaults'),
  ).action((name: string, flags: Flags) => analyzeAll(name, flags)),
);
// What matches none of the commands above.
analyzeCommand.argument('[experiment...]').action(async ([name]: string[]) => {
  await asUsage(() => (name === undefined ? analyzeCommand.help({ error: true }) : experimentNamed(name)));
});

function experimentCommand(one: Experiment): Command {
  const command = addOptions(new Command(one.name).description(one.description));
  const own = schemaOptions(one.options);
  for (const option of own) command.addOption(option);
  return command.action((name: string, flags: Flags) =>
    analyze(one, name, flags, Object.fromEntries(own.flatMap((option) => given(flags, option.attributeName())))),
  );
}

const given = (flags: object, key: string): [string, unknown][] => {
  const value = (flags as Record<string, unknown>)[key];
  return value === undefined ? [] : [[key, value]];
};

function addOptions(command: Command): Command {
  addDataOptions(command.argument('<model>', 'name of the model').addOption(modelsOption()))
    .option('--pictures <files...>', 'pictures of your own, for experiments that look at single ones')
    .addOption(invertOption())
    .addOption(settingOption('maxPixels'))
    .option('--threads <n>', 'threads', whole(1), availableParallelism())
    .option(
      '--figure <file>',
      `draw the result; ends in ${endings}; may be given several times`,
      (file: string, files: string[]) => [...files, file],
      [],
    )
    .addOption(new Option('--supervised', 'tell the process that started this one, and end with it').hideHelp());
  return addCacheOptions(command);
}

async function analyze(one: Experiment, name: string, flags: Flags, options: object): Promise<void> {
  const draw = figureWriter(flags.figure);
  await withContext(name, flags, async (context) => {
    const result = await asUsage(() => runExperiment(one, context, options));
    await draw(one.figure(result), '');
    print(result);
  });
}

/** Runs every experiment. One that cannot run is passed over, with the reason in its place. */
async function analyzeAll(name: string, flags: Flags): Promise<void> {
  const draw = figureWriter(flags.figure);
  await withContext(name, flags, async (context) => {
    const results: Record<string, unknown> = {};
    for (const one of Object.values(experiments)) {
      try {
        const result = await runExperiment(one, context);
        results[one.name] = result;
        await draw(one.figure(result), `-${one.name}`);
      } catch (error) {
        if (!(error instanceof AnalysisError)) throw error;
        results[one.name] = { skipped: error.message };
      }
    }
    print(results);
  });
}

const print = (result: unknown): void => void process.stdout.write(`${JSON.stringify(result)}\n`);

/** Opens the model and its data. With --supervised, progress and what fails are told to the parent process. A signal that ends the process leaves no half-written file. */
async function withContext(name: string, flags: Flags, use: (context: Context) => Promise<void>): Promise<void> {
  const cleanUp = cleanUpOnSignals();
  const supervisor: Supervisor | undefined = flags.supervised && supervised();
  const progress = supervisor ?? stageProgress(process.stderr);
  try {
    const model = await openModel(modelFolder(flags.models, name));
    await use({
      model,
      data: await analysisData(model, flags),
      pictures: flags.pictures && (await readPictures(flags.pictures, model, flags)),
      threads: flags.threads,
      cache: cacheOf(flags),
      progress: progress.show,
      signal: new AbortController().signal,
    });
  } catch (error) {
    supervisor?.failed(error as Error);
    throw error;
  } finally {
    progress.end();
    cleanUp.end();
  }
}

async function readPictures(paths: readonly string[], { manifest }: Model, flags: Flags): Promise<Pictures> {
  const { maxPixels } = readConfig(flags.maxPixels === undefined ? {} : { maxPixels: flags.maxPixels });
  const files = await readInputs(paths);
  const { pixels } = await prepareBatch(files, manifest, { invert: flags.invert, maxPixels, names: paths });
  const { height, width, channels } = manifest.input;
  const labels = new Uint16Array(paths.length);
  const images: Images = { count: paths.length, height, width, channels, pixels: pixels.data, labels };
  return { names: paths, images };
}

/** Writes figures beside the results; a wrong ending is refused before anything is computed. */
function figureWriter(paths: readonly string[]): (figure: Figure, suffix: string) => Promise<void> {
  const files = paths.map((path) => {
    const [, stem, format] = /^(.*)\.([^.]*)$/s.exec(path) ?? [];
    if (format === undefined || !Object.hasOwn(figureFormats, format))
      throw new SettingsError(`--figure ${path}: expected a file that ends in ${endings}`);
    return { stem, format: format as FigureFormat };
  });
  return async (figure, suffix) => {
    for (const { stem, format } of files)
      await writeAtomically(`${stem}${suffix}.${format}`, await figureFormats[format](figure));
  };
}

/** Runs a function; what it says of a wrong experiment or option is wrong usage of the command. */
async function asUsage<T>(run: () => T | Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const usage = error instanceof AnalysisError && ['unknown-experiment', 'option-invalid'].includes(error.problem);
    throw usage ? new SettingsError(error.message, { cause: error }) : error;
  }
}

import { Command, Option } from 'commander';
import { checkWritable, writeAtomically } from '../../export/files/write.js';
import { eachExperiment } from '../analysis/each.js';
import { type Experiment, runExperiment } from '../analysis/experiment.js';
import { experimentNamed, experiments } from '../analysis/experiments.js';
import { type Figure, type FigureFormat, figureFormats } from '../analysis/figure.js';
import { SettingsError } from '../common/config.js';
import { exitCodes } from '../common/exit-codes.js';
import { schemaOptions } from '../common/schema-options.js';
import { addContextOptions, asUsage, type ContextFlags, ended, withContext } from './analysis-context.js';

interface Flags extends ContextFlags {
  readonly figure: readonly string[];
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
  return addContextOptions(command)
    .option(
      '--figure <file>',
      `draw the result; ends in ${endings}; may be given several times`,
      (file: string, files: string[]) => [...files, file],
      [],
    )
    .addOption(new Option('--supervised', 'tell the process that started this one, and end with it').hideHelp());
}

async function analyze(one: Experiment, name: string, flags: Flags, options: object): Promise<void> {
  const draw = await figureWriter(flags.figure);
  await withContext(name, flags, async (context) => {
    const result = await asUsage(() => runExperiment(one, context, options));
    await draw(one.figure(result), '');
    print(result);
  });
}

/** Runs every experiment. One that cannot run, or fails, is passed over, with the reason in its place. */
async function analyzeAll(name: string, flags: Flags): Promise<void> {
  const draw = await figureWriter(flags.figure);
  await withContext(name, flags, async (context, say) => {
    const results: Record<string, unknown> = {};
    for await (const outcome of eachExperiment(context, Object.values(experiments))) {
      const { experiment, ...ending } = outcome;
      say(ended(outcome));
      results[experiment.name] = ending.kind === 'done' ? ending.result : { [ending.kind]: ending.reason };
      if (ending.kind === 'done') await draw(experiment.figure(ending.result), `-${experiment.name}`);
      if (ending.kind === 'failed') process.exitCode = exitCodes.failure;
    }
    print(results);
  });
}

const print = (result: unknown): void => void process.stdout.write(`${JSON.stringify(result)}\n`);

/** Writes figures beside the results; a wrong ending, or place, is refused before anything is computed. */
async function figureWriter(paths: readonly string[]): Promise<(figure: Figure, suffix: string) => Promise<void>> {
  const files = paths.map((path) => {
    const [, stem, format] = /^(.*)\.([^.]*)$/s.exec(path) ?? [];
    if (format === undefined || !Object.hasOwn(figureFormats, format))
      throw new SettingsError(`--figure ${path}: expected a file that ends in ${endings}`);
    return { stem, format: format as FigureFormat };
  });
  for (const path of paths) await checkWritable(path);
  return async (figure, suffix) => {
    for (const { stem, format } of files)
      await writeAtomically(`${stem}${suffix}.${format}`, await figureFormats[format](figure));
  };
}

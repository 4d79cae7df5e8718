import { Command, InvalidArgumentError } from 'commander';
import { version } from '../../export/files/package.js';
import { checkWritable } from '../../export/files/write.js';
import type { Context } from '../analysis/context.js';
import { eachExperiment, type Outcome } from '../analysis/each.js';
import type { Experiment } from '../analysis/experiment.js';
import { experimentNamed, experiments } from '../analysis/experiments.js';
import { exitCodes } from '../common/exit-codes.js';
import { chapterOf, inOrder, writeReport } from '../report/report.js';
import { addContextOptions, asUsage, type ContextFlags, ended, withContext } from './analysis-context.js';
import { writeOutput } from './files.js';

interface Flags extends ContextFlags {
  readonly output: string;
  readonly experiments?: readonly string[];
}

const list = (text: string): string[] => text.split(',').map((name) => name.trim());

function htmlFile(text: string): string {
  if (text === '-' || /\.html?$/i.test(text)) return text;
  throw new InvalidArgumentError('expected a file that ends in .html, or - for the standard output.');
}

/** `irevnet report`: every experiment, as one page that reads like a short paper. */
export const reportCommand = addContextOptions(new Command('report'))
  .description('run every experiment that applies, and say in one page which statements of the paper hold for a model')
  .option('-o, --output <file.html>', 'one file with everything in it', htmlFile, 'report.html')
  .option('--experiments <list>', `those to run (default: all: ${Object.keys(experiments).join(',')})`, list)
  .action(async (name: string, flags: Flags, command: Command) => {
    const chosen = await asUsage(() => (flags.experiments ?? Object.keys(experiments)).map(experimentNamed));
    if (flags.output !== '-') await checkWritable(flags.output);
    await withContext(name, flags, async (context, say) => {
      const outcomes: Outcome[] = [];
      const all = inOrder([...new Set(chosen)]);
      for await (const outcome of eachExperiment(context, all, (experiment) => optionsOf(experiment))) {
        outcomes.push(outcome);
        say(`${outcomes.length} of ${all.length}: ${ended(outcome)}`);
      }
      const page = await writeReport(
        { title: titleOf(context), facts: factsOf(context, calledAs(name, command)) },
        outcomes,
      );
      await writeOutput(flags.output, [Buffer.from(page)]);
      if (outcomes.some(({ kind }) => kind === 'failed')) process.exitCode = exitCodes.failure;
    });
  });

const optionsOf = (experiment: Experiment): object => chapterOf(experiment)?.options ?? {};

const titleOf = ({ model }: Context): string => `What the i-RevNet paper says, tried on ${model.manifest.name}`;

function factsOf({ model: { manifest, network }, data, pictures, threads }: Context, command: string) {
  const { name, description, architecture, measured } = manifest;
  const images = data && [
    ...(data.train ? [`${data.train.count} training images`] : []),
    `${data.test.count} test images`,
    ...(data.classes ? [`${data.classes.length} classes`] : []),
  ];
  return {
    Model: `${name}: ${description}`,
    Network: `${architecture.name}, ${network.blocks.length} blocks, ${architecture.parameters.toLocaleString('en')} parameters, ${network.grid === null ? 'plain floats' : `grid of k = ${network.grid}`}`,
    ...(measured?.accuracy && {
      Accuracy: `${(100 * measured.accuracy).toFixed(2)}% of ${measured.images.toLocaleString('en')} images, as its manifest says`,
    }),
    Data: images === undefined || data === undefined ? 'none' : `${data.name}: ${images.join(', ')}`,
    ...(pictures && { Pictures: pictures.names.join(', ') }),
    Date: new Date().toISOString().slice(0, 10),
    Program: `irevnet ${version}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    Command: command,
  };
}

/** The command as a shell takes it, so that a reader can run it again. */
function calledAs(name: string, command: Command): string {
  const given = command.options.filter((option) => {
    const key = option.attributeName();
    // --cache and --no-cache are one value.
    return command.getOptionValueSource(key) === 'cli' && option.negate === (command.getOptionValue(key) === false);
  });
  const flags = given.flatMap((option) => {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (typeof value === 'boolean') return [option.long!];
    // --pictures takes several words; a list is one, with commas.
    const words = Array.isArray(value) ? (option.variadic ? value : [value.join(',')]) : [value];
    return [option.long!, ...words.map((word) => quotedWord(String(word)))];
  });
  return ['irevnet', 'report', name, ...flags].join(' ');
}

const quotedWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

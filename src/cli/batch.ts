import { Command, InvalidArgumentError, Option } from 'commander';
import { readConfig, type Setting, settingOption } from '../common/config.js';
import { exitCodes } from '../common/exit-codes.js';
import type { Invert } from '../images/steps.js';
import { type MergeSummary, merge } from '../jobs/merge.js';
import type { DataFormat, Shard, TaskName } from '../jobs/plan.js';
import { runShard, type Summary } from '../jobs/run.js';
import { tasks } from '../jobs/tasks.js';
import { placeSettings, settingsIn } from './engine.js';
import { INTERRUPTED, stopOnSignals } from './interrupt.js';
import { invertOption } from './invert.js';
import { whole } from './numbers.js';
import { countProgress } from './progress.js';

/** Settings of the service that also apply to a job. */
const settings = [
  ...placeSettings,
  'optimize',
  'workers',
  'maxBatch',
  'hangTimeout',
] as const satisfies readonly Setting[];

interface Policy {
  maxErrors: number;
  json: boolean;
}

interface Flags extends Policy, Partial<Record<(typeof settings)[number], string>> {
  input: string;
  output: string;
  shard: Shard;
  format?: DataFormat;
  part?: number;
  readers?: number;
  invert?: Invert;
  topK?: number;
}

const AFTER = `
Results are written in parts, and shards own whole parts. After an error or a kill, run the same command again: it
keeps finished parts and computes the missing ones. Different shards may run at the same time, on all machines that see
both folders; do not run the same shard twice at once. Bad inputs are recorded in the index and have no result.

Exit codes: 0 finished; 1 failed, run it again; 2 wrong usage; ${exitCodes['not-writable']} the output cannot be written;
${exitCodes['images-skipped']} finished, but more inputs were bad than --max-errors allows: another run would not change that;
${INTERRUPTED} interrupted, run it again.`;

const addPolicy = (command: Command): Command =>
  command
    .option('--max-errors <n>', 'the exit code is 0 if at most so many inputs are bad', whole(0), 0)
    .option('--json', 'print the summary as JSON', false);

function taskCommand(name: TaskName, description: string, input: string): Command {
  const command = new Command(name)
    .description(description)
    .requiredOption('--input <folder or manifest>', input)
    .requiredOption('--output <folder>', 'receives parts/ and merged/; the same for all shards')
    .addOption(
      new Option('--shard <i/n>', 'compute one of n shards, i from 0 to n - 1')
        .argParser(parseShard)
        .default({ index: 0, of: 1 }, '0/1'),
    )
    .addOption(
      new Option('--format <format>', `of the results (default: ${tasks[name].formats[0]})`).choices(
        tasks[name].formats,
      ),
    )
    .option(
      '--part <n>',
      'inputs in a part, which are lost when a run is killed (default: at most 1024, fewer in small jobs or if results are large)',
      whole(1),
    )
    .option('--readers <n>', 'threads that read and decode (default: one for every 4 cores)', whole(1));
  for (const key of settings) command.addOption(settingOption(key));
  return addPolicy(command)
    .addHelpText('after', AFTER)
    .action((flags: Flags) => run(name, flags));
}

const IMAGES = 'folder of images, or a file with a path a line or {"id": "…", "path": "…"} a line';
const FEATURES =
  'output folder of batch encode, folder of .npy, .safetensors or .json files, or a file that lists such';

/** `irevnet batch`: jobs of any size, divided into shards that run one by one or at the same time, and then merged. */
export const batchCommand = new Command('batch')
  .description('encode, classify or invert any number of images, in shards')
  .addCommand(
    taskCommand('encode', 'images → features, with their mean and covariance', IMAGES).addOption(invertOption()),
  )
  .addCommand(
    taskCommand('classify', 'images → logits and labels', IMAGES)
      .addOption(invertOption())
      .option('--top-k <n>', 'labels for each image, best first', whole(1), 1),
  )
  .addCommand(taskCommand('invert', 'features → images', FEATURES))
  .addCommand(
    addPolicy(new Command('merge'))
      .description('join the results of all shards in <output>/merged')
      .argument('<output>', 'the output folder of the shards')
      .action(runMerge),
  );

/** Parses i/n. Numbers start at 0, like those of the pods of an indexed job of Kubernetes. */
function parseShard(text: string): Shard {
  const [, index, of] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
  if (index === undefined || of === undefined || index >= of || of > 1e6) {
    throw new InvalidArgumentError('expected i/n with i from 0 to n - 1, such as 0/8.');
  }
  return { index, of };
}

async function run(task: TaskName, flags: Flags): Promise<void> {
  const { input, output, shard, format, part, readers, invert = 'auto', topK = 1 } = flags;
  const progress = countProgress(process.stderr, `${task} ${shard.index}/${shard.of}`);
  const interruption = stopOnSignals('stopping; send the signal again to end at once');
  try {
    const summary = await runShard(
      { task, input, output, shard, data: format, part, readers, invert, topK },
      readConfig(settingsIn(flags, settings)),
      interruption.signal,
      progress,
    );
    progress.end();
    report(summary, flags, asText(summary, output));
    if (summary.outcome === 'interrupted') process.exitCode = INTERRUPTED;
  } finally {
    interruption.end();
  }
}

async function runMerge(output: string, flags: Policy): Promise<void> {
  const progress = countProgress(process.stderr, 'merge');
  let before: number | undefined;
  const summary = await merge(output, (done, total) => {
    if (before === undefined) progress.begin(0, total);
    progress.step(done - (before ?? 0), 0);
    before = done;
  });
  progress.end();
  report(summary, flags, `${summary.folder}: ${summary.inputs} inputs, ${summary.bad} bad${errorsOf(summary)}\n`);
}

/** Prints a summary. The exit code says whether more inputs are bad than allowed. */
function report(summary: { readonly bad: number }, { json, maxErrors }: Policy, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(summary)}\n` : text);
  if (summary.bad > maxErrors) process.exitCode = exitCodes['images-skipped'];
}

function asText(
  { operation, shard, outcome, inputs, computed, kept, bad, seconds, imagesPerSecond }: Summary,
  output: string,
) {
  const parts = [
    `${operation} ${shard} ${outcome}: ${kept + computed} of ${inputs} inputs in ${output}`,
    ...(kept > 0 ? [`${kept} were finished before`] : []),
    `${bad} bad`,
    ...(computed > 0 ? [`${computed} in ${seconds} s, ${imagesPerSecond} images/s`] : []),
  ];
  return `${parts.join(', ')}\n`;
}

const errorsOf = ({ errors }: MergeSummary): string => {
  const counts = Object.entries(errors).map(([code, count]) => `${count} ${code}`);
  return counts.length > 0 ? ` (${counts.join(', ')})` : '';
};

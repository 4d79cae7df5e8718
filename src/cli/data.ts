import { type Command, InvalidArgumentError, Option } from 'commander';
import { relabelled } from '../../export/data/dataset.js';
import {
  type Content,
  type Dataset,
  describeDataset,
  formats,
  knownDatasets,
  openDataset,
  type Part,
} from '../../export/data/index.js';
import { matchClasses } from '../../export/data/matching.js';
import { type ImageSource, sourceOf } from '../../export/data/source.js';
import type { Manifest } from '../../export/model/manifest.js';
import { readConfig } from '../common/config.js';
import { openDecoder } from '../jobs/decoder.js';
import { cleanUpOnSignals } from './interrupt.js';
import { whole } from './numbers.js';
import { countProgress } from './progress.js';

/** Flags that say which data a command reads. */
export interface DataFlags {
  readonly dataset?: string | undefined;
  readonly data?: string | undefined;
  readonly format?: string | undefined;
  readonly columns?: readonly [image: string, label: string] | undefined;
  readonly labels?: string | undefined;
  readonly skip?: number | undefined;
}

/** Those of `addDataOptions`, as commander stores them. */
export const dataFlagNames = [
  'data',
  'dataset',
  'format',
  'columns',
  'skip',
] as const satisfies readonly (keyof DataFlags)[];

function columns(text: string): readonly [string, string] {
  const [image, label, ...more] = text.split(',').map((name) => name.trim());
  if (!image || !label || more.length > 0) throw new InvalidArgumentError('Expected two names, such as image,label.');
  return [image, label];
}

export function addDataOptions(command: Command): Command {
  return command
    .option('--data <path>', 'folder, archive or file of the data (default: the usual place of a known data set)')
    .option(
      '--dataset <name>',
      `a known data set (${Object.keys(knownDatasets).join(', ')}), or a name for data of your own (default: after the path)`,
    )
    .addOption(new Option('--format <name>', 'layout of the data (default: recognised)').choices(Object.keys(formats)))
    .option('--columns <image,label>', 'columns of a table (default: those of usual names)', columns)
    .option('--skip <n>', 'most images to skip because they cannot be read (default: one in a hundred)', whole(0));
}

/**
 * Opens the data that the flags name, says on standard error what they are, and closes them after use.
 * A signal removes what archives were unpacked into; who handles signals otherwise calls `signals.end()` first.
 * @param usual the data set that is meant without flags; with --data alone, what the data may be
 * @throws DatasetError
 */
export async function withData<T>(
  flags: DataFlags,
  usual: string | undefined,
  use: (dataset: Dataset, signals: { end(): void }) => Promise<T>,
): Promise<T> {
  const { dataset: named, data: path, format, columns, labels } = flags;
  const name = named ?? (path === undefined ? usual : undefined);
  const signals = cleanUpOnSignals();
  const dataset = await openDataset({ name, likely: usual, path, format, columns, labels }).catch((error) => {
    signals.end();
    throw error;
  });
  try {
    say(describeDataset(dataset));
    for (const note of dataset.notes) say(note);
    return await use(dataset, signals);
  } finally {
    await dataset.close();
    signals.end();
  }
}

export const say = (text: string): void => void process.stderr.write(`${text}\n`);

/**
 * Gives images as a model takes them: prepared as the service prepares what is uploaded. Says afterwards which could not be
 * read.
 * @throws DatasetError
 */
export async function withImages<T>(
  content: Content,
  model: Pick<Manifest, 'input' | 'preprocessing'>,
  { skip }: DataFlags,
  use: (images: ImageSource) => Promise<T>,
): Promise<T> {
  const decoder = openDecoder(model, readConfig({}).maxPixels);
  try {
    const images = await sourceOf(content, model.input, decoder, { skip, progress: decodingProgress() });
    const result = await use(images);
    sayUnreadable(images);
    return result;
  } finally {
    await decoder.close();
  }
}

function decodingProgress(): (done: number, total: number) => void {
  const shown = countProgress(process.stderr, 'decoding');
  let last = 0;
  return (done, total) => {
    if (last === 0) shown.begin(0, total);
    shown.step(done - last, 0);
    last = done;
    if (done === total) shown.end();
  };
}

/** A part of a data set, its labels numbered as those of a model. @throws DatasetError when the classes do not fit */
export async function contentFor(dataset: Dataset, part: Part, model: readonly string[]): Promise<Content> {
  const { numbers, how } = matchClasses(dataset, model);
  if (how === 'order')
    say(
      `Classes are matched by their order, because their names differ: ${dataset.labels[0]} is the model's ${model[0]}, and so on`,
    );
  return relabelled(await dataset.load(part), numbers);
}

const SHOWN = 3;

/** Says how many images could not be read, and names the first. */
function sayUnreadable({ unreadable }: ImageSource): void {
  if (unreadable.length === 0) return;
  say(`${unreadable.length} images were skipped because they cannot be read. The first:`);
  for (const { file, reason } of unreadable.slice(0, SHOWN)) say(`  ${file}: ${reason}`);
}

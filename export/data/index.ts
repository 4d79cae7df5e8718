import { basename } from 'node:path';
import { type Content, type Dataset, DatasetError, type Part, relabelled, selectContent } from './dataset.js';
import type { Files } from './files/files.js';
import { openFiles } from './files/open.js';
import type { Format, FormatOptions, Found } from './formats/format.js';
import { namesFile } from './formats/image-folder.js';
import { formatOf } from './formats/index.js';
import { type Known, knownDatasets } from './known.js';
import { classNames } from './names.js';
import { permutation, seeded } from './random.js';

export { type Content, type Dataset, DatasetError, type Part } from './dataset.js';
export { formats } from './formats/index.js';
export { knownDatasets } from './known.js';

export interface OpenOptions extends FormatOptions {
  /** The name of a known data set, or one to give to other data; default: that of the folder or file. */
  readonly name?: string | undefined;
  /** Without a name: a known data set that the data are taken for if they have as many classes, and no names for them. */
  readonly likely?: string | undefined;
  /** A folder, an archive or a file; default: the usual place of the known data set. */
  readonly path?: string | undefined;
  /** A key of the table of formats; default: the one that is recognised. */
  readonly format?: string | undefined;
  /** A file of class names. */
  readonly labels?: string | undefined;
}

/** Of data without a test part, this share is set aside as test data. */
const TEST_SHARE = 1 / 10;
const SPLIT_SEED = 1;

/** @throws DatasetError when there is no data set, it is damaged, or its classes are not those of the known data set */
export async function openDataset(options: OpenOptions): Promise<Dataset> {
  const known = knownAs(options.name);
  const path = options.path ?? known?.folder;
  if (path === undefined) {
    const source = known ? ` ${known.source}` : '';
    throw new DatasetError(
      `${options.name ?? 'the data set'} has no usual place; name a folder, an archive or a file with --data.${source}`,
    );
  }
  const files = await openFiles(path).catch((error: Error) => {
    throw known && error instanceof DatasetError ? new DatasetError(`${error.message}. ${remedy(known)}`) : error;
  });
  try {
    return await openFrom(files, options, known);
  } catch (error) {
    await files.close();
    throw error;
  }
}

const remedy = ({ source }: Known): string => `${source}; or name the place with --data`;

const knownAs = (name: string | undefined): Known | undefined =>
  name !== undefined && Object.hasOwn(knownDatasets, name) ? knownDatasets[name] : undefined;

async function openFrom(files: Files, options: OpenOptions, named: Known | undefined): Promise<Dataset> {
  const [format, reader] = formatOf(files, options.format);
  const found = await reader.open(files, options);
  const taken =
    options.name === undefined && options.labels === undefined ? recognised(found, options.likely) : undefined;
  const known = named ?? knownAs(taken);
  const { labels, numbers, notes } = await classesOf(files, found, options, known);
  const load = memoised(async (part: Part) => checked(await loadPart(found, part), labels, numbers, files.path));
  return {
    name: options.name ?? taken ?? nameOf(files.path),
    path: files.path,
    format,
    title: reader.title,
    labels,
    keys: found.labels,
    preprocessing: known?.preprocessing,
    split: found.parts.all === undefined,
    parts: found.parts.all ? ['train', 'test', 'all'] : (Object.keys(found.parts) as Part[]),
    notes: [...(found.notes ?? []), ...notes, ...(taken ? [takenFor(taken, found)] : [])],
    load,
    close: files.close,
  };
}

/** The known data set that data are, by the names of their classes; the likely one where they have mere numbers. */
function recognised({ named, labels }: Found, likely: string | undefined): string | undefined {
  if (!named) return knownAs(likely)?.labels.length === labels.length ? likely : undefined;
  const same = (known: Known) =>
    known.labels.length === labels.length && labels.every((label) => known.labels.includes(label));
  return Object.keys(knownDatasets).find((name) => same(knownDatasets[name]!));
}

const takenFor = (name: string, { named }: Found): string =>
  named
    ? `These are the classes of ${name}`
    : `The files do not name their classes; they are taken for ${name}. --dataset gives them a name of their own`;

/** The name of a data set after its folder, archive or file. */
const nameOf = (path: string): string =>
  basename(path.replace(/\/+$/, ''))
    .replace(/\.(tar|tar\.gz|tgz|csv|tsv|jsonl|ndjson|parquet)$/i, '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '') || 'data';

/** The names of the classes, and the number that each class of the data gets among them. */
async function classesOf(files: Files, found: Found, { labels: file }: OpenOptions, known: Known | undefined) {
  const order = found.labels.map((_, i) => i);
  if (known) return { labels: known.labels, numbers: knownNumbers(files, found, known), notes: [] };
  const beside = found.named ? namesFile(files) : undefined;
  const { names, notes } = await classNames(
    found.labels,
    file,
    beside === undefined ? undefined : { name: beside, read: () => files.read(beside) },
  );
  return { labels: names, numbers: order, notes };
}

/** @throws DatasetError when the classes are not those of the known data set */
function knownNumbers({ path }: Files, { labels, named }: Found, known: Known): number[] {
  const numbers = named ? labels.map((label) => known.labels.indexOf(label)) : labels.map((_, i) => i);
  if (labels.length <= known.labels.length && numbers.every((n) => n >= 0)) return numbers;
  const expected = `${known.labels.length} (${known.labels.slice(0, 3).join(', ')}, …)`;
  throw new DatasetError(
    `${path} has ${labels.length} classes (${labels.slice(0, 3).join(', ')}, …), expected ${expected}; give the data a name of their own with --dataset`,
  );
}

async function loadPart({ parts }: Found, part: Part): Promise<Content> {
  const own = parts[part];
  if (own) return own();
  if (parts.all) {
    const all = await parts.all();
    const count = all.labels.length;
    const order = permutation(count, seeded(SPLIT_SEED));
    const held = Math.max(1, Math.round(count * TEST_SHARE));
    return selectContent(all, (part === 'test' ? order.subarray(0, held) : order.subarray(held)).sort());
  }
  if (part === 'all') throw new DatasetError(`the data have a part for training and one for testing; name one of them`);
  throw new DatasetError(
    `the data have no ${part === 'train' ? 'training' : 'test'} part; they have: ${Object.keys(parts).join(', ')}`,
  );
}

/** Renumbers the labels. @throws DatasetError when there is no image, or a label has no class */
function checked(content: Content, names: readonly string[], numbers: readonly number[], path: string): Content {
  if (content.labels.length === 0) throw new DatasetError(`${path} has no images in this part`);
  const wrong = content.labels.findIndex((label) => numbers[label] === undefined || numbers[label]! >= names.length);
  if (wrong >= 0)
    throw new DatasetError(
      `${path}: image ${wrong} has label ${content.labels[wrong]}; there are ${names.length} classes, numbered from 0`,
    );
  return numbers.every((number, i) => number === i) ? content : relabelled(content, numbers);
}

/** Reads each part once. */
function memoised(load: (part: Part) => Promise<Content>): (part: Part) => Promise<Content> {
  const loaded = new Map<Part, Promise<Content>>();
  return (part) => {
    const content = loaded.get(part) ?? load(part);
    loaded.set(part, content);
    return content;
  };
}

/** What the data are, in a line. */
export const describeDataset = ({ path, title, labels, split }: Dataset): string =>
  `${path}: ${title}, ${labels.length} classes (${labels.slice(0, 3).join(', ')}${labels.length > 3 ? ', …' : ''})` +
  (split ? '' : '; no test part, so a tenth of the images, chosen by a fixed seed, is test data');

export type { Format };

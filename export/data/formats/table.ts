import { type Content, DatasetError, type Part } from '../dataset.js';
import { type Files, folderOf, type ImageFile } from '../files/files.js';
import type { FormatOptions, Found } from './format.js';
import { leftAside, type PartWord, partInPath, partNamed, testPart } from './parts.js';

export type Row = Readonly<Record<string, unknown>>;

/** A table of images and labels, read from its first row to its last. */
export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  /** The names of the classes of a column of numbers, where the table has them. */
  labelNames?(column: string): string[] | undefined;
  /** Rows with at least these columns, in groups. */
  read(columns: readonly string[]): AsyncIterable<readonly Row[]>;
}

/** Names of columns, in the order in which they are tried. */
const IMAGE = 'image img picture image_bytes bytes file_name filename file_path filepath image_path path file'.split(
  ' ',
);
const LABEL = 'label labels fine_label class class_id class_name target category species y'.split(' ');
const SPLIT = 'split';

interface Columns {
  readonly image: string;
  readonly label: string;
}

/** Rows of one part: which they are, and their labels as they stand there. */
interface Rows {
  readonly table: Table;
  readonly numbers: number[];
  readonly labels: unknown[];
}

/** Opens tables as one data set. The part of a row is in its column `split`, or in the name of its file. */
export async function openTables(files: Files, tables: readonly Table[], options: FormatOptions): Promise<Found> {
  const columns = columnsOf(files, tables, options);
  const parts = await rowsByPart(tables, columns);
  const everything = [...parts.values()].flat();
  const { names, numberOf } = classesOf(files, everything, tables[0]!.labelNames?.(columns.label));
  const content = (rows: readonly Rows[]) => () => contentOf(files, rows, columns, numberOf);
  const words = new Set([...parts.keys()].filter((part) => part !== 'all'));
  const held = testPart(words);
  const train = parts.get('train');
  const found: Found['parts'] = held
    ? { ...(train && { train: content(train) }), test: content(parts.get(held)!) }
    : { all: content(everything) };
  const numbered = names === undefined;
  const count = numbered
    ? 1 + everything.reduce((most, { labels }) => labels.reduce<number>((a, b) => Math.max(a, numberOf(b)!), most), 0)
    : 0;
  return {
    labels: names ?? Array.from({ length: count }, (_, i) => String(i)),
    named: !numbered,
    parts: found as Partial<Record<Part, () => Promise<Content>>>,
    notes: leftAside(words),
  };
}

/** @throws DatasetError when a table lacks a column, or it is not clear which are meant */
function columnsOf({ path }: Files, tables: readonly Table[], { columns }: FormatOptions): Columns {
  const has = (column: string) => tables.every((table) => table.columns.includes(column));
  const [image, label] = columns ?? [IMAGE.find(has), LABEL.find(has)];
  if (image !== undefined && label !== undefined && has(image) && has(label)) return { image, label };
  const shown = tables
    .slice(0, 2)
    .map(({ name, columns }) => `${name} has the columns ${columns.join(', ') || '(none)'}`);
  const wanted = columns
    ? columns.join(' and ')
    : 'one of images or paths (such as image, file_name) and one of labels (such as label, class)';
  throw new DatasetError(
    `${path}: ${shown.join('; ')}. Expected ${wanted}; say which are meant with --columns <image>,<label>`,
  );
}

async function rowsByPart(tables: readonly Table[], { label }: Columns): Promise<Map<PartWord | 'all', Rows[]>> {
  const parts = new Map<PartWord | 'all', Rows[]>();
  for (const table of tables) {
    const own = partInPath(table.name);
    const bySplit = table.columns.includes(SPLIT);
    const rows = new Map<PartWord | 'all', Rows>();
    let number = 0;
    // Images are not read here: of a large table they would not fit into memory.
    for await (const group of table.read(bySplit ? [label, SPLIT] : [label])) {
      for (const row of group) {
        const part = (bySplit ? partNamed(String(row[SPLIT])) : own) ?? 'all';
        const list = rows.get(part) ?? { table, numbers: [], labels: [] };
        rows.set(part, list);
        list.numbers.push(number++);
        list.labels.push(row[label]);
      }
    }
    for (const [part, list] of rows) parts.set(part, [...(parts.get(part) ?? []), list]);
  }
  return parts;
}

interface Classes {
  /** undefined where labels are mere numbers. */
  readonly names: string[] | undefined;
  readonly numberOf: (label: unknown) => number | undefined;
}

/** Labels are numbers, or names that are numbered in the order of their code units. @throws DatasetError */
function classesOf({ path }: Files, parts: readonly Rows[], listed: string[] | undefined): Classes {
  const whole = (label: unknown): number | undefined => {
    const value = typeof label === 'string' && /^-?\d+$/.test(label) ? Number(label) : label;
    return typeof value === 'bigint' || typeof value === 'number' ? Number(value) : undefined;
  };
  const count = parts.reduce((sum, { labels }) => sum + labels.length, 0);
  if (count === 0) throw new DatasetError(`${path} has a table without rows`);
  if (parts.every(({ labels }) => labels.every((label) => whole(label) !== undefined))) {
    const most = listed?.length ?? 2 ** 16;
    for (const { table, labels, numbers } of parts) {
      const wrong = labels.findIndex(
        (label) => !(Number.isInteger(whole(label)) && whole(label)! >= 0 && whole(label)! < most),
      );
      if (wrong >= 0)
        throw new DatasetError(
          `${path}: row ${numbers[wrong]! + 1} of ${table.name} has label ${labels[wrong]}; expected a whole number from 0 to ${most - 1}`,
        );
    }
    return { names: listed, numberOf: whole };
  }
  for (const { table, labels, numbers } of parts) {
    const wrong = labels.findIndex((label) => typeof label !== 'string' || label === '');
    if (wrong >= 0)
      throw new DatasetError(
        `${path}: row ${numbers[wrong]! + 1} of ${table.name} has no label; expected the name or the number of a class`,
      );
  }
  const names = [...new Set(parts.flatMap(({ labels }) => labels as string[]))].sort();
  const numbers = new Map(names.map((name, i) => [name, i]));
  return { names, numberOf: (label) => numbers.get(label as string) };
}

async function contentOf(
  files: Files,
  parts: readonly Rows[],
  { image }: Columns,
  numberOf: Classes['numberOf'],
): Promise<Content> {
  const images: ImageFile[] = [];
  const labels: number[] = [];
  for (const { table, numbers, labels: own } of parts) {
    let [number, next] = [0, 0];
    for await (const group of table.read([image])) {
      for (const row of group) {
        if (numbers[next] === number) {
          images.push(await imageIn(files, table.name, number, image, row[image]));
          labels.push(numberOf(own[next])!);
          next++;
        }
        number++;
      }
    }
  }
  return { kind: 'files', files: images, labels: Uint16Array.from(labels) };
}

/** Bytes, {bytes, path} as hubs store an image, Base64 where the column says bytes or the value is a data: URL, or a path. */
async function imageIn(files: Files, table: string, row: number, column: string, value: unknown): Promise<ImageFile> {
  const name = `row ${row + 1} of ${table}`;
  if (value instanceof Uint8Array) return { name, place: await files.keep(value) };
  if (typeof value === 'object' && value !== null && 'bytes' in value) {
    const { bytes, path } = value as { bytes: unknown; path?: unknown };
    if (bytes instanceof Uint8Array) return { name, place: await files.keep(bytes) };
    if (typeof bytes === 'string') return { name, place: await files.keep(Buffer.from(bytes, 'base64')) };
    if (typeof path === 'string') return imageIn(files, table, row, column, path);
  }
  if (typeof value !== 'string' || value === '')
    throw new DatasetError(`${files.path}: ${name} has no image in the column ${column}; expected bytes or a path`);
  const encoded = /^data:[^,]*;base64,/.exec(value)?.[0] ?? (/bytes|base64/.test(column) ? '' : undefined);
  if (encoded !== undefined)
    return { name, place: await files.keep(Buffer.from(value.slice(encoded.length), 'base64')) };
  const folder = folderOf(table);
  const path = value.startsWith('/') || folder === '' ? value : `${folder}/${value}`;
  return { name: value, place: files.place(path) };
}

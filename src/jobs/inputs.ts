import { createHash } from 'node:crypto';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { decodeText } from '../../export/files/text.js';
import { dataName } from './data-files.js';
import { BatchError } from './errors.js';
import { endings, hasEnding } from './names.js';
import { damaged, isOutput, readFinished } from './output.js';
import { partFolder, readEntries } from './part.js';
import type { InputKind, Item } from './plan.js';
import { openTable } from './tables.js';

export interface Inputs {
  readonly root: string;
  readonly items: readonly Item[];
}

/**
 * The inputs of a job, in their order. A folder gives the files in it and below it that have one of the endings, sorted by
 * path as UTF-16 code units, which does not depend on the locale. A manifest gives its lines. A file of features gives its
 * rows, and the output folder of `batch encode` the rows of its features.
 * @throws BatchError when there are no inputs, or a line of the manifest is malformed; EncodingError when it is not UTF-8
 */
export async function listInputs(input: string, kind: InputKind): Promise<Inputs> {
  const found = await stat(input).catch((error: NodeJS.ErrnoException) => {
    throw new BatchError(`the input ${input} cannot be read (${error.code}); expected a folder or a manifest`);
  });
  if (kind === 'features' && isOutput(input)) return { root: input, items: await encodedRows(input) };
  const inputs = found.isDirectory() ? await filesOf(input, kind) : await linesOf(input);
  if (inputs.items.length === 0) {
    const what = found.isDirectory() ? `files ending in ${endings[kind].join(', ')}` : 'lines';
    throw new BatchError(`the input ${input} has no ${what}`);
  }
  return kind === 'features' ? { ...inputs, items: inputs.items.flatMap((item) => rowsOf(inputs.root, item)) } : inputs;
}

async function filesOf(root: string, kind: InputKind): Promise<Inputs> {
  const paths: string[] = [];
  for await (const path of walk(root, '', [await realpath(root)])) {
    if (hasEnding(path, kind)) paths.push(path);
  }
  return { root, items: paths.sort().map((path) => ({ id: path, path })) };
}

/**
 * Paths of all files in a folder and below it, except hidden ones. Symbolic links are followed, except those that lead back
 * to a folder that they lie in: its files are listed anyway.
 * @param above the real paths of the folder and of those that it lies in
 */
async function* walk(root: string, below: string, above: readonly string[]): AsyncGenerator<string> {
  const folder = join(root, below);
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw new BatchError(`the folder ${folder} cannot be read (${error.code})`);
  });
  for (const entry of entries.filter(({ name }) => !name.startsWith('.'))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    // A broken link is listed, so that the index records it as a bad input.
    const target = entry.isSymbolicLink() ? await stat(join(root, path)).catch(() => undefined) : entry;
    if (target?.isDirectory()) {
      const real = await realpath(join(root, path));
      if (!above.includes(real)) yield* walk(root, path, [...above, real]);
    } else if (target === undefined || target.isFile()) yield path;
  }
}

async function linesOf(file: string): Promise<Inputs> {
  const lines = decodeText(await readFile(file), file)
    .split('\n')
    .map((line) => line.trim());
  const json = lines.find((line) => line !== '')?.startsWith('{') ?? false;
  const items = lines.flatMap((line, i): Item[] => {
    if (line === '') return [];
    return [json ? fromJson(line, `line ${i + 1} of ${file}`) : { id: line, path: line }];
  });
  return { root: dirname(resolve(file)), items };
}

function fromJson(line: string, where: string): Item {
  let entry: { id?: unknown; path?: unknown } | null = null;
  try {
    entry = JSON.parse(line);
  } catch {
    // The error below says what was expected.
  }
  const { id = entry?.path, path } = entry ?? {};
  if (typeof path === 'string' && typeof id === 'string') return { id, path };
  throw new BatchError(`${where} is not {"id": "…", "path": "…"}; expected one such object a line`);
}

/** The rows of a file of features; the file itself when it cannot be read, so that the index records it as bad. */
function rowsOf(root: string, item: Item): Item[] {
  try {
    const table = openTable(resolve(root, item.path));
    table.close();
    const [rows = 1] = table.dims;
    if (rows === 1) return [{ ...item, row: 0 }];
    return Array.from({ length: rows }, (_, row) => ({ ...item, id: `${item.id}#${row}`, row }));
  } catch {
    return [{ ...item, row: 0 }];
  }
}

/** The rows of features in the parts of an output folder. Bad images have none. */
async function encodedRows(root: string): Promise<Item[]> {
  const { plan, parts } = await readFinished(root);
  if (plan.task !== 'encode') {
    throw new BatchError(`${root} holds the output of batch ${plan.task}; expected features, from batch encode`);
  }
  const items: Item[] = [];
  for (const { part, record } of parts) {
    const path = join(relative(root, partFolder(root, part)), dataName(plan));
    const entries = (await readEntries(root, part, record)) ?? damaged(root, part);
    for (const entry of entries) if ('row' in entry) items.push({ id: entry.id, path, row: entry.row });
  }
  return items;
}

/** A hash of the names and places of inputs. Their content is not part of it. */
export function inputsHash(items: readonly Item[]): string {
  const hash = createHash('sha256');
  for (const { id, path, row } of items)
    hash.update(`${JSON.stringify(row === undefined ? [id, path] : [id, path, row])}\n`);
  return hash.digest('hex');
}

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { encodedRows } from './encoded.js';
import { BatchError } from './errors.js';
import { openTable } from './tables.js';

/** Something to be computed: an image file, or a row of a file of features. */
export interface Item {
  readonly id: string;
  /** From the root of the inputs. */
  readonly path: string;
  readonly row?: number;
}

export interface Inputs {
  readonly root: string;
  readonly items: readonly Item[];
}

/** What an operation reads, and the endings of such files. */
export const endings = {
  images: ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif'],
  features: ['.npy', '.safetensors', '.json'],
} as const;
export type Kind = keyof typeof endings;

/**
 * The inputs of a job, in the order that shards are cut by: of a folder its files with such endings and those in folders below
 * it, by their paths as UTF-16 code units, which no locale changes; of a manifest its lines. Of a file of features come its
 * rows; of a folder that `batch encode` has written, the images that it encoded.
 * @throws BatchError when there are none, or a line of a manifest is none
 */
export async function listInputs(input: string, kind: Kind): Promise<Inputs> {
  const found = await stat(input).catch((error: NodeJS.ErrnoException) => {
    throw new BatchError(`the input ${input} cannot be read (${error.code}); expected a folder or a manifest`);
  });
  const inputs = found.isDirectory() ? await ofFolder(input, kind) : await ofManifest(input);
  if (inputs.items.length === 0) {
    const what = found.isDirectory() ? `files ending in ${endings[kind].join(', ')}` : 'lines';
    throw new BatchError(`the input ${input} has no ${what}`);
  }
  return kind === 'features' ? { ...inputs, items: inputs.items.flatMap((item) => rowsOf(inputs.root, item)) } : inputs;
}

async function ofFolder(root: string, kind: Kind): Promise<Inputs> {
  if (kind === 'features' && existsSync(join(root, 'shards'))) return { root, items: await encodedRows(root) };
  const paths = (await walk(root, '')).filter((path) => endings[kind].some((e) => path.toLowerCase().endsWith(e)));
  return { root, items: paths.sort().map((path) => ({ id: path, path })) };
}

/** Paths of the files in a folder and below it, but for hidden ones. Links are followed. */
async function walk(root: string, below: string): Promise<string[]> {
  const folder = join(root, below);
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw new BatchError(`the folder ${folder} cannot be read (${error.code})`);
  });
  const paths: string[] = [];
  for (const entry of entries.filter(({ name }) => !name.startsWith('.'))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    // A link that leads nowhere is listed, so that it is recorded as a bad input.
    const target = entry.isSymbolicLink() ? await stat(join(root, path)).catch(() => undefined) : entry;
    if (target?.isDirectory()) paths.push(...(await walk(root, path)));
    else if (target === undefined || target.isFile()) paths.push(path);
  }
  return paths;
}

async function ofManifest(file: string): Promise<Inputs> {
  const lines = (await readFile(file, 'utf8')).split('\n').map((line) => line.trim());
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
    // Below it is told what was expected.
  }
  const { id = entry?.path, path } = entry ?? {};
  if (typeof path === 'string' && typeof id === 'string') return { id, path };
  throw new BatchError(`${where} is not {"id": "…", "path": "…"}; expected one such object a line`);
}

/** The rows of a file of features; the file itself where it cannot be read, so that it is recorded as bad. */
function rowsOf(root: string, item: Item): Item[] {
  if (item.row !== undefined) return [item];
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

/** A hash of a list of inputs: what they are called and where they lie, not what is in them. */
export function inputsHash(items: readonly Item[]): string {
  const hash = createHash('sha256');
  for (const { id, path, row } of items)
    hash.update(`${JSON.stringify(row === undefined ? [id, path] : [id, path, row])}\n`);
  return hash.digest('hex');
}

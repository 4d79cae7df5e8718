import { availableParallelism } from 'node:os';
import { isAbsolute } from 'node:path';
import { checkFinite } from '../../export/formats/read.js';
import { sizeOf } from '../../export/graph/tensor.js';
import type { Manifest } from '../../export/model/manifest.js';
import { prepareImage } from '../images/prepare.js';
import type { Invert } from '../images/steps.js';
import { checkFeatures } from '../operations/features.js';
import { type OpenFile, openFile } from './files.js';
import { badOf, isBad, type Outcome } from './index-lines.js';
import type { Item } from './plan.js';
import { openTable, type Table } from './tables.js';

/** The settings of a reading thread. */
export type ReaderSettings = { readonly root: string } & (
  | {
      readonly kind: 'images';
      readonly manifest: Pick<Manifest, 'input' | 'preprocessing'>;
      readonly invert: Invert;
      readonly maxPixels: number;
    }
  | { readonly kind: 'features'; readonly shape: readonly number[] }
);

/** The result of reading a list of items: an outcome for each, and the concatenated data of those that are not bad. */
export interface Read {
  readonly outcomes: readonly Outcome[];
  /** uint8 [N, H, W, C] of images, float32 [N, C, H, W] of features. */
  readonly data: Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>;
}

/** Reads items. @throws Error when the cause is not one of the items */
export type Reader = (items: readonly Item[]) => Promise<Read>;

/** Reads one item into the given array. */
type ReadOne = (item: Item, into: Uint8Array | Float32Array) => Outcome | Promise<Outcome>;

export function createReader(settings: ReaderSettings): Reader {
  if (settings.kind === 'features') {
    return reader((length) => new Float32Array(length), sizeOf(settings.shape), featuresReader(settings));
  }
  const { height, width, channels } = settings.manifest.input;
  return reader((length) => new Uint8Array(length), height * width * channels, imageReader(settings));
}

/** Items that are decoded at once: libvips, which decodes everything but small PNGs, uses a thread for each. */
const AT_ONCE = availableParallelism();

const reader =
  (allocate: (length: number) => Read['data'], size: number, readOne: ReadOne): Reader =>
  async (items) => {
    const data = allocate(items.length * size);
    const outcomes: Outcome[] = [];
    for (let from = 0; from < items.length; from += AT_ONCE) {
      const some = items.slice(from, from + AT_ONCE);
      const places = some.map((_, i) => data.subarray((from + i) * size, (from + i + 1) * size));
      outcomes.push(...(await Promise.all(some.map((item, i) => orBad(() => readOne(item, places[i]!))))));
    }
    return { outcomes, data: withoutBad(data, outcomes, size) };
  };

async function orBad(read: () => Outcome | Promise<Outcome>): Promise<Outcome> {
  try {
    return await read();
  } catch (error) {
    const bad = badOf(error);
    if (bad) return bad;
    throw error;
  }
}

/** Removes the gaps that bad items leave in the data. */
function withoutBad(data: Read['data'], outcomes: readonly Outcome[], size: number): Read['data'] {
  const good = outcomes.flatMap((outcome, i) => (isBad(outcome) ? [] : [i]));
  if (good.length === outcomes.length) return data;
  for (const [to, from] of good.entries()) data.copyWithin(to * size, from * size, (from + 1) * size);
  return data.slice(0, good.length * size);
}

function imageReader({ root, manifest, ...options }: ReaderSettings & { kind: 'images' }): ReadOne {
  return async ({ path, range }, into) => {
    const file = openFile(within(root, path));
    const bytes = readOnce(file, range ?? [0, file.size]);
    const { pixels, done } = await prepareImage(bytes, manifest, options);
    into.set(pixels);
    return done.length > 0 ? { done } : {};
  };
}

/** Like `resolve`, which is slow because it normalises the path. */
const within = (root: string, path: string): string => (isAbsolute(path) ? path : `${root}/${path}`);

function readOnce(file: OpenFile, [from, length]: readonly [number, number]): Uint8Array {
  try {
    return file.read(from, length);
  } finally {
    file.close();
  }
}

function featuresReader({ root, shape }: ReaderSettings & { kind: 'features' }): ReadOne {
  // Rows of a file are consecutive items, so one open file is enough.
  let open: { readonly path: string; readonly table: Table } | undefined;
  const tableAt = (path: string): Table => {
    if (open?.path !== path) {
      open?.table.close();
      open = undefined;
      open = { path, table: openTable(within(root, path)) };
    }
    return open.table;
  };
  return ({ path, row = 0 }, into) => {
    const table = tableAt(path);
    checkFeatures(table.dims, shape, Number.POSITIVE_INFINITY);
    const data = table.row(row);
    checkFinite(data);
    into.set(data);
    return {};
  };
}

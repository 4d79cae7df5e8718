import { constants } from 'node:fs';
import { copyFile, link, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Listed, writeFolder, writeListed } from '../../export/model/folder.js';
import { arrayFormats } from './data-file.js';
import { MERGED } from './encoded.js';
import { writingTo } from './errors.js';
import { removeUnfinished } from './files.js';
import { type Entry, toLines } from './index-lines.js';
import { type Moments, mergeMoments, statisticsOf } from './moments.js';
import { operations } from './operations.js';
import {
  addCounts,
  dataName,
  IMAGES,
  INDEX,
  type PartRecord,
  partFolder,
  readEntries,
  readPart,
  readRows,
} from './part.js';
import type { Part, Plan } from './plan.js';
import { badIn } from './shard.js';
import { SUMS } from './shard-folder.js';
import { readSums, writeDoubles } from './sums.js';
import { damaged, type Whole, wholeShards } from './whole.js';

export interface MergeSummary {
  readonly folder: string;
  readonly operation: Plan['operation'];
  readonly inputs: number;
  readonly rows: number;
  readonly bad: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly labels: Readonly<Record<string, number>>;
}

/** Told of every part that is merged: inputs so far, and of all. */
export type MergeProgress = (done: number, total: number) => void;

/**
 * Puts the shards of a job together in `<output>/merged`, in the order of the inputs: the data, an index, a summary, and of
 * features their moments. A part at a time is held in memory. The bytes depend on the job and not on how it was cut: rows
 * and lines come by position, rows are counted anew, and moments are exact sums (moments.ts).
 * @throws BatchError when something is missing, damaged or of another job
 */
export async function merge(output: string, progress: MergeProgress): Promise<MergeSummary> {
  const shards = await wholeShards(output);
  const { plan } = shards[0]!;
  const records = shards.flatMap(({ parts }) => parts.map(({ record }) => record));
  const summary = {
    operation: plan.operation,
    model: plan.model,
    modelSha256: plan.modelSha256,
    options: plan.options,
    inputs: plan.inputs,
    rows: records.reduce((sum, { rows }) => sum + rows, 0),
    bad: records.reduce((sum, record) => sum + badIn(record), 0),
    errors: addCounts(
      {},
      records.map(({ errors }) => errors),
    ),
    labels: addCounts(
      {},
      records.map(({ labels }) => labels),
    ),
  };
  const folder = join(output, MERGED);
  await writingTo(output, async () => {
    await removeUnfinished(output, `${MERGED}.`);
    await writeFolder(folder, async (fresh) => {
      const files = await fill(fresh, shards, summary.rows, progress);
      await writeFile(join(fresh, 'summary.json'), `${JSON.stringify({ ...summary, files }, null, 2)}\n`, {
        flush: true,
      });
    });
  });
  const { operation, inputs, rows, bad, errors, labels } = summary;
  return { folder, operation, inputs, rows, bad, errors, labels };
}

async function fill(fresh: string, shards: readonly Whole[], rows: number, progress: MergeProgress) {
  const { plan } = shards[0]!;
  const files: Record<string, Listed> = { [INDEX]: await writeListed(join(fresh, INDEX), indexOf(shards)) };
  const data = dataName(plan);
  if (plan.data === 'png') await gatherImages(join(fresh, data), shards, progress);
  else files[data] = await writeListed(join(fresh, data), arrayOf(shards, rows, progress));
  if (operations[plan.operation].moments) {
    files['moments.safetensors'] = await writeListed(join(fresh, 'moments.safetensors'), [await momentsOf(shards)]);
  }
  return files;
}

function* partsOf(shards: readonly Whole[]): Generator<{ shard: Whole; part: Part; record: PartRecord }> {
  for (const shard of shards) for (const { part, record } of shard.parts) yield { shard, part, record };
}

async function* indexOf(shards: readonly Whole[]): AsyncGenerator<Uint8Array> {
  let before = 0;
  for (const { shard, part, record } of partsOf(shards)) {
    const entries = (await readEntries(shard.folder, part, record)) ?? damaged(shard, part);
    yield toLines(entries.map((entry) => placed(entry, before)));
    before += record.rows;
  }
}

/** A line of a part as it is in the whole. */
function placed(entry: Entry, before: number): Entry {
  if ('row' in entry) return { ...entry, row: before + entry.row };
  return 'file' in entry ? { ...entry, file: placeOf(basename(entry.file)) } : entry;
}

async function* arrayOf(shards: readonly Whole[], rows: number, progress: MergeProgress): AsyncGenerator<Uint8Array> {
  const { data, operation, row, model, inputs } = shards[0]!.plan;
  if (data === 'png') return;
  yield* arrayFormats[data].header(operations[operation].array, [rows, ...row], { model });
  for (const { shard, part, record } of partsOf(shards)) {
    yield (await readRows(shard.folder, shard.plan, part, record)) ?? damaged(shard, part);
    progress(part.to, inputs);
  }
}

/** Images in a folder of the merged result: a folder of a million is hard to use. */
const placeOf = (name: string): string => `${IMAGES}/${name.slice(0, 6)}/${name}`;

async function gatherImages(folder: string, shards: readonly Whole[], progress: MergeProgress): Promise<void> {
  await mkdir(folder);
  for (const { shard, part } of partsOf(shards)) {
    const record = (await readPart(shard.folder, shard.plan, part)) ?? damaged(shard, part);
    for (const entry of (await readEntries(shard.folder, part, record)) ?? []) {
      if (!('file' in entry)) continue;
      const place = join(folder, '..', placeOf(basename(entry.file)));
      await mkdir(join(place, '..'), { recursive: true });
      await linked(join(partFolder(shard.folder, part), entry.file), place);
    }
    progress(part.to, shard.plan.inputs);
  }
}

/** The same file at another place, or a copy where the file system knows no links. */
const linked = (from: string, to: string): Promise<void> =>
  link(from, to).catch(() => copyFile(from, to, constants.COPYFILE_EXCL));

/** Mean and covariance of the features, averaged over their places. */
async function momentsOf(shards: readonly Whole[]): Promise<Uint8Array> {
  const { model } = shards[0]!.plan;
  let all: Moments | undefined;
  for (const { folder } of shards) {
    const sums = readSums(await readFile(join(folder, SUMS)));
    all = all ? mergeMoments(all, sums) : sums;
  }
  const { mean, covariance } = statisticsOf(all!);
  const { channels, images, outside } = all!;
  return writeDoubles(
    { mean: { shape: [channels], data: mean }, covariance: { shape: [channels, channels], data: covariance } },
    { model, images: String(images), outside: String(outside) },
  );
}

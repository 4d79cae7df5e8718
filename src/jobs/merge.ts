import { constants } from 'node:fs';
import { copyFile, link, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Listed, writeFolder, writeListed } from '../../export/files/write.js';
import { safetensorsHeader } from '../../export/formats/safetensors.js';
import { bytesOf, tensor } from '../../export/graph/tensor.js';
import { arrayHeader, dataName, IMAGES } from './data-files.js';
import { writingTo } from './errors.js';
import { floats, removeUnfinished } from './files.js';
import { type Entry, toLines } from './index-lines.js';
import { type Moments, openMoments, type Statistics } from './moments.js';
import { pictureNames } from './names.js';
import { damaged, type FinishedJob, readFinished } from './output.js';
import { addCounts, badIn, INDEX, partFolder, readEntries, readRows, verifyPart } from './part.js';
import type { TaskName } from './plan.js';
import { tasks } from './tasks.js';

const MERGED = 'merged';
const SUMMARY = 'summary.json';
const MOMENTS = 'moments.safetensors';

export interface MergeSummary {
  readonly folder: string;
  readonly operation: TaskName;
  readonly inputs: number;
  readonly rows: number;
  readonly bad: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly labels: Readonly<Record<string, number>>;
}

/** Called after each part, with the number of inputs that are merged and of all inputs. */
export type MergeProgress = (done: number, total: number) => void;

/**
 * Joins the parts of a job in `<output>/merged`, in the order of the inputs: data, index, summary and, of features, mean and
 * covariance. One part at a time is held in memory. The bytes depend on the plan and the results of inputs, and neither on
 * shards nor on the size of parts.
 * @throws BatchError when parts are missing or damaged
 */
export async function merge(output: string, progress: MergeProgress): Promise<MergeSummary> {
  const job = await readFinished(output);
  const { plan } = job;
  const records = job.parts.map(({ record }) => record);
  const counts = {
    inputs: plan.inputs,
    rows: records.reduce((sum, { rows }) => sum + rows, 0),
    bad: records.reduce((sum, record) => sum + badIn(record), 0),
    errors: addCounts(records.map(({ errors }) => errors)),
    labels: addCounts(records.map(({ labels }) => labels)),
  };
  const { task: operation, model, modelSha256, options } = plan;
  const folder = join(output, MERGED);
  await writingTo(output, async () => {
    // Every shard is finished, so no other process writes into the output folder now.
    await removeUnfinished(output, () => true);
    await writeFolder(folder, async (fresh) => {
      const files = await writeFiles(fresh, job, counts.rows, progress);
      const summary = { operation, model, modelSha256, options, ...counts, files };
      await writeFile(join(fresh, SUMMARY), `${JSON.stringify(summary, null, 2)}\n`, { flush: true });
    });
  });
  return { folder, operation, ...counts };
}

async function writeFiles(
  fresh: string,
  job: FinishedJob,
  rows: number,
  progress: MergeProgress,
): Promise<Record<string, Listed>> {
  const { plan } = job;
  const data = join(fresh, dataName(plan));
  const index = { [INDEX]: await writeListed(join(fresh, INDEX), indexOf(job)) };
  if (plan.data === 'png') {
    await linkImages(data, job, progress);
    return index;
  }
  if (!tasks[plan.task].moments) {
    return { ...index, [dataName(plan)]: await writeListed(data, arrayOf(job, rows, progress)) };
  }
  const moments = await openMoments(plan.row);
  try {
    const listed = await writeListed(data, arrayOf(job, rows, progress, moments));
    const statistics = momentsFile(await moments.finish(), plan.model);
    return { ...index, [dataName(plan)]: listed, [MOMENTS]: await writeListed(join(fresh, MOMENTS), statistics) };
  } finally {
    await moments.close();
  }
}

async function* indexOf({ output, parts }: FinishedJob): AsyncGenerator<Uint8Array> {
  let rowsBefore = 0;
  const nameOf = pictureNames();
  for (const { part, record } of parts) {
    const entries = (await readEntries(output, part, record)) ?? damaged(output, part);
    yield toLines(entries.map((entry) => mergedEntry(entry, rowsBefore, nameOf)));
    rowsBefore += record.rows;
  }
}

/** A line of the index of a part, as it is in the merged index. */
function mergedEntry(entry: Entry, rowsBefore: number, nameOf: (id: string) => string): Entry {
  if ('row' in entry) return { ...entry, row: rowsBefore + entry.row };
  return 'file' in entry ? { ...entry, file: `${IMAGES}/${nameOf(entry.id)}` } : entry;
}

/** The array of all rows, which are also added to the moments. */
async function* arrayOf(
  { output, plan, parts }: FinishedJob,
  rows: number,
  progress: MergeProgress,
  moments?: Moments,
): AsyncGenerator<Uint8Array> {
  yield* arrayHeader(plan, rows);
  for (const { part, record } of parts) {
    const data = (await readRows(output, plan, part, record)) ?? damaged(output, part);
    await moments?.add(floats(data));
    yield data;
    progress(part.to, plan.inputs);
  }
}

async function linkImages(
  folder: string,
  { output, plan, parts }: FinishedJob,
  progress: MergeProgress,
): Promise<void> {
  await mkdir(folder);
  const nameOf = pictureNames();
  for (const { part } of parts) {
    const record = (await verifyPart(output, plan, part)) ?? damaged(output, part);
    for (const entry of (await readEntries(output, part, record)) ?? damaged(output, part)) {
      if (!('file' in entry)) continue;
      const target = join(folder, nameOf(entry.id));
      await mkdir(dirname(target), { recursive: true });
      await linkOrCopy(join(partFolder(output, part), entry.file), target);
    }
    progress(part.to, plan.inputs);
  }
}

/** Some file systems have no hard links. */
const linkOrCopy = (from: string, to: string): Promise<void> =>
  link(from, to).catch(() => copyFile(from, to, constants.COPYFILE_EXCL));

function momentsFile({ rows, mean, covariance }: Statistics, model: string): Uint8Array[] {
  const channels = mean.length;
  const arrays = {
    mean: tensor('float64', [channels], mean),
    covariance: tensor('float64', [channels, channels], covariance),
  };
  const described = Object.entries(arrays).map(([name, { dims, data }]) => ({
    name,
    dtype: 'F64',
    shape: dims,
    bytes: data.byteLength,
  }));
  return [...safetensorsHeader(described, { model, images: String(rows) }), ...Object.values(arrays).map(bytesOf)];
}

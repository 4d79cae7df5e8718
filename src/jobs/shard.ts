import { join } from 'node:path';
import { listedAt, writeMissing } from './files.js';
import { type MomentsBuilder, openMoments } from './moments.js';
import { operations } from './operations.js';
import { type PartRecord, readPart, readRows } from './part.js';
import { type Part, type Plan, partsOf, planHash } from './plan.js';
import { type ShardRecord, SUMS, shardRecordFile } from './shard-folder.js';
import { writeSums } from './sums.js';

/** A shard as far as it is there. */
export interface Opened {
  readonly folder: string;
  readonly plan: Plan;
  /** Parts that are there and whole, and those to be done. */
  readonly kept: readonly PartRecord[];
  readonly missing: readonly Part[];
  /** Of what is kept; takes in what is computed. */
  readonly moments: MomentsBuilder | undefined;
}

/** Looks at what is there of a shard, and takes it in. */
export async function inspect(folder: string, plan: Plan, index: number): Promise<Opened> {
  const moments = operations[plan.operation].moments ? await openMoments(plan.row) : undefined;
  const kept: PartRecord[] = [];
  const missing: Part[] = [];
  for (const part of partsOf(plan, index)) {
    const record = await readPart(folder, plan, part);
    if (record) {
      kept.push(record);
      await moments?.add(floats((await readRows(folder, plan, part, record))!));
    } else missing.push(part);
  }
  return { folder, plan, kept, missing, moments };
}

const floats = (bytes: Uint8Array): Float32Array => new Float32Array(new Uint8Array(bytes).buffer);

/** Says that a shard is finished, all its parts being there. What is there with the same bytes is left alone. */
export async function finish({ folder, plan, moments }: Opened, parts: readonly PartRecord[]): Promise<ShardRecord> {
  const record: ShardRecord = {
    plan: planHash(plan),
    inputs: parts.reduce((sum, { from, to }) => sum + to - from, 0),
    bad: parts.reduce((sum, part) => sum + badIn(part), 0),
  };
  if (moments) {
    const path = join(folder, SUMS);
    await writeMissing(path, writeSums(await moments.finish()));
    record.sums = (await listedAt(path))!;
  }
  await writeMissing(shardRecordFile(folder), Buffer.from(`${JSON.stringify(record)}\n`));
  return record;
}

export const badIn = ({ from, to, rows }: Pick<PartRecord, 'from' | 'to' | 'rows'>): number => to - from - rows;

import { join } from 'node:path';
import { BatchError } from './errors.js';
import { isSame, listedAt } from './files.js';
import { type PartRecord, partFolder, readRecord } from './part.js';
import { type Part, type Plan, partsOf, planHash } from './plan.js';
import { checkSame, readPlan, readShard, SHARDS, SUMS, shardFolder, shardsIn } from './shard-folder.js';

/** A shard that is finished. */
export interface Whole {
  readonly index: number;
  readonly folder: string;
  readonly plan: Plan;
  readonly parts: readonly { readonly part: Part; readonly record: PartRecord }[];
}

/**
 * All shards of a job, in order. Hashes of parts are not looked at here, but when they are read.
 * @throws BatchError naming every shard that is missing, unfinished or of another job
 */
export async function wholeShards(output: string): Promise<Whole[]> {
  const there = await shardsIn(output);
  const counts = [...new Set(there.map(({ of }) => of))];
  if (counts.length === 0)
    throw new BatchError(`${join(output, SHARDS)} holds no shards; run irevnet batch encode, classify or invert first`);
  if (counts.length > 1) {
    throw new BatchError(
      `${output} holds shards of ${counts.join(' and of ')}; remove those that are of no use from ${join(output, SHARDS)}`,
    );
  }
  const [of] = counts as [number];
  const found: (Whole | string)[] = [];
  for (let index = 0; index < of; index++) found.push(await wholeShard(output, index, of));
  const wrong = found.filter((shard) => typeof shard === 'string');
  if (wrong.length > 0) throw new BatchError(listed(wrong));
  const shards = found as Whole[];
  for (const { plan, folder } of shards) checkSame(plan, shards[0]!.plan, folder);
  return shards;
}

/** Of many, the first ones. */
const MOST_SHOWN = 20;
const listed = (lines: readonly string[]): string =>
  [...lines.slice(0, MOST_SHOWN), ...(lines.length > MOST_SHOWN ? [`and ${lines.length - MOST_SHOWN} more`] : [])].join(
    '\n',
  );

/** A shard, or what is wrong with it. */
async function wholeShard(output: string, index: number, of: number): Promise<Whole | string> {
  const folder = shardFolder(output, { index, of });
  const again = `run it with --shard ${index}/${of}`;
  const plan = await readPlan(folder);
  if (!plan) return `shard ${index} of ${of} is missing: ${again}`;
  const parts = [];
  const all = partsOf(plan, index);
  for (const part of all) {
    const record = await readRecord(folder, plan, part);
    if (record) parts.push({ part, record });
  }
  const record = await readShard(folder);
  if (parts.length < all.length || record?.plan !== planHash(plan)) {
    return `shard ${index} of ${of} is not finished, ${parts.length} of its ${all.length} parts are there: ${again}`;
  }
  if (record.sums && !isSame(await listedAt(join(folder, SUMS)), record.sums)) {
    return `${join(folder, SUMS)} is missing or damaged: ${again} again`;
  }
  return { index, folder, plan, parts };
}

/** @throws BatchError that says what to do about a part whose bytes are not those of its record */
export function damaged(shard: Whole, part: Part): never {
  throw new BatchError(
    `${partFolder(shard.folder, part)} is damaged; run its shard again with --shard ${shard.index}/${shard.plan.shards}, which does what is missing`,
  );
}

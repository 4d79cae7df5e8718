import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { writeAtomically } from '../../export/files/write.js';
import { BatchError } from './errors.js';
import { removeUnfinished, textAt } from './files.js';
import { Plan, type Shard } from './plan.js';

// <output>/shards/<i>-of-<n>/ holds a shard: plan.json, its parts, sums.safetensors and at last shard.json. Nothing in it is
// written by who works at another shard.

export const SHARDS = 'shards';
const PLAN = 'plan.json';
const RECORD = 'shard.json';
export const SUMS = 'sums.safetensors';

/** What lies in a shard that is finished. */
export const ShardRecord = Type.Object({
  plan: Type.String(),
  inputs: Type.Integer(),
  bad: Type.Integer(),
  /** Of its sums, where it has some. */
  sums: Type.Optional(Type.Object({ bytes: Type.Integer(), sha256: Type.String() })),
});
export type ShardRecord = Static<typeof ShardRecord>;

const [plans, records] = [Compile(Plan), Compile(ShardRecord)];

export const shardFolder = (output: string, { index, of }: Shard): string => join(output, SHARDS, `${index}-of-${of}`);

/** The shards that are there, whole or not, by their number. */
export async function shardsIn(output: string): Promise<Shard[]> {
  const names = await readdir(join(output, SHARDS)).catch(() => []);
  return names
    .flatMap((name) => {
      const [, index, of] = /^(\d+)-of-(\d+)$/.exec(name) ?? [];
      return index === undefined ? [] : [{ index: Number(index), of: Number(of) }];
    })
    .sort((a, b) => a.index - b.index);
}

/** The plan of a shard; undefined where it has none. */
export async function readPlan(folder: string): Promise<Plan | undefined> {
  const plan = json(await textAt(join(folder, PLAN)));
  return plans.Check(plan) ? plan : undefined;
}

export async function readShard(folder: string): Promise<ShardRecord | undefined> {
  const record = json(await textAt(join(folder, RECORD)));
  return records.Check(record) ? record : undefined;
}

export const shardRecordFile = (folder: string): string => join(folder, RECORD);

function json(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

/**
 * Makes the folder of a shard, or goes on with one of the same plan, and removes what a run that ended was writing.
 * @throws BatchError when the output holds something else
 */
export async function openShard(output: string, plan: Plan, shard: Shard): Promise<string> {
  const folder = shardFolder(output, shard);
  for (const other of await shardsIn(output)) {
    if (other.of !== shard.of) {
      throw new BatchError(
        `${output} holds shards of ${other.of}; give --shard i/${other.of}, or another output folder`,
      );
    }
  }
  const [first] = await shardsIn(output);
  for (const other of first ? [first, shard] : []) {
    const found = await readPlan(shardFolder(output, other));
    if (found) checkSame(found, plan, shardFolder(output, other));
  }
  await mkdir(folder, { recursive: true });
  await removeUnfinished(folder);
  if (!(await readPlan(folder))) await writeAtomically(join(folder, PLAN), `${JSON.stringify(plan)}\n`);
  return folder;
}

const meanings: Partial<Record<keyof Plan, string>> = {
  version: 'version of irevnet',
  modelSha256: 'files of the model',
  inputs: 'number of inputs',
  inputsSha256: 'list of inputs',
  data: 'format',
  part: 'inputs in a part',
};

/** @throws BatchError naming what differs */
export function checkSame(found: Plan, wanted: Plan, folder: string): void {
  const keys = (Object.keys(wanted) as (keyof Plan)[]).filter(
    (key) => JSON.stringify(found[key]) !== JSON.stringify(wanted[key]),
  );
  if (keys.length === 0) return;
  const differences = keys.map(
    (key) => `${meanings[key] ?? key}: ${JSON.stringify(found[key])} there, ${JSON.stringify(wanted[key])} here`,
  );
  throw new BatchError(
    `${folder} is of another job (${differences.join('; ')}); give the same settings, or another output folder`,
  );
}

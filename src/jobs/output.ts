import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Compile } from 'typebox/compile';
import { writeAtomically } from '../../export/files/write.js';
import { BatchError } from './errors.js';
import { removeUnfinished, textAt } from './files.js';
import { PARTS, type PartRecord, partFolder, partName, readRecord, verifyPart } from './part.js';
import { type Part, PLAN_FORMAT, Plan, partsOf } from './plan.js';

// The output folder of a job holds plan.json, parts/<k> and, after the merge, merged/. All shards write into the same folder.
// Each writes its own parts only, and any of them writes the plan.

const PLAN = 'plan.json';
/** The folder in which versions before plan format 3 kept their parts. */
const OLD_PARTS = 'shards';
const validator = Compile(Plan);

/** Whether a folder holds the output of a job of any version. */
export const isOutput = (folder: string): boolean =>
  existsSync(join(folder, PLAN)) || existsSync(join(folder, OLD_PARTS));

/** The plan in an output folder; undefined when it has none. @throws BatchError when it has another format */
async function readPlan(output: string): Promise<Plan | undefined> {
  const text = await textAt(join(output, PLAN));
  if (text === undefined && !existsSync(join(output, OLD_PARTS))) return undefined;
  const plan = parsed(text ?? '');
  if (validator.Check(plan)) return plan;
  throw new BatchError(
    `${output} holds a job of another version of irevnet; expected ${PLAN} of format ${PLAN_FORMAT}. Compute it again into another output folder`,
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The state of some parts of a job. */
export interface Progress {
  /** Records of the parts that are complete and undamaged. */
  readonly kept: readonly PartRecord[];
  readonly missing: readonly Part[];
}

/**
 * Creates an output folder, or continues in one with the same plan. Removes what an earlier run left unfinished of the given
 * parts, and verifies what it finished of them.
 * @throws BatchError when the folder holds another job
 */
export async function openOutput(output: string, plan: Plan, parts: readonly Part[]): Promise<Progress> {
  const found = await readPlan(output);
  if (found) checkSame(found, plan, output);
  await mkdir(join(output, PARTS), { recursive: true });
  if (!found) await writeAtomically(join(output, PLAN), `${JSON.stringify(plan)}\n`);
  const names = new Set(parts.map(({ index }) => partName(index)));
  // Other shards may be writing their parts into the same folder now.
  await removeUnfinished(join(output, PARTS), (name) => names.has(name));
  const kept: PartRecord[] = [];
  const missing: Part[] = [];
  for (const part of parts) {
    const record = await verifyPart(output, plan, part);
    if (record) kept.push(record);
    else missing.push(part);
  }
  return { kept, missing };
}

const meanings: Partial<Record<keyof Plan, string>> = {
  version: 'version of irevnet',
  task: 'operation',
  modelSha256: 'files of the model',
  inputs: 'number of inputs',
  inputsSha256: 'list of inputs',
  data: 'format',
  part: 'inputs in a part',
};

/** @throws BatchError that names every difference */
function checkSame(found: Plan, wanted: Plan, output: string): void {
  const differences = (Object.keys(wanted) as (keyof Plan)[])
    .map((key) => ({ key, there: JSON.stringify(found[key]), here: JSON.stringify(wanted[key]) }))
    .filter(({ there, here }) => there !== here)
    .map(({ key, there, here }) => `${meanings[key] ?? key}: ${there} there, ${here} here`);
  if (differences.length === 0) return;
  throw new BatchError(
    `${output} holds another job (${differences.join('; ')}); give the same settings, or another output folder`,
  );
}

/** A job of which every part is finished. */
export interface FinishedJob {
  readonly output: string;
  readonly plan: Plan;
  /** In the order of the inputs. */
  readonly parts: readonly FinishedPart[];
}

export interface FinishedPart {
  readonly part: Part;
  readonly record: PartRecord;
}

/**
 * Reads the plan and the records of all parts of a job. The hashes of parts are checked later, when parts are read.
 * @throws BatchError when there is no job, or parts are missing
 */
export async function readFinished(output: string): Promise<FinishedJob> {
  const plan = await readPlan(output);
  if (!plan) throw new BatchError(`${output} holds no job; run irevnet batch encode, classify or invert first`);
  const parts: FinishedPart[] = [];
  const missing: Part[] = [];
  for (const part of partsOf(plan)) {
    const record = await readRecord(output, plan, part);
    if (record) parts.push({ part, record });
    else missing.push(part);
  }
  const [first] = missing;
  if (!first) return { output, plan, parts };
  throw new BatchError(
    `${missing.length} of ${parts.length + missing.length} parts of ${output} are missing, the first with inputs ${first.from} to ${first.to - 1}; ${AGAIN}`,
  );
}

const AGAIN = 'run the shards that did not finish, or the command without --shard: it computes only what is missing';

/** @throws BatchError that says what to do about a part whose files do not have their hashes */
export function damaged(output: string, part: Part): never {
  throw new BatchError(`${partFolder(output, part)} is damaged; ${AGAIN}`);
}

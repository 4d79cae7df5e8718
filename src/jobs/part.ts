import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { sha256 } from '../../export/files/write.js';
import { type Listed, writeFolder, writeListed } from '../../export/model/folder.js';
import { arrayFormats } from './data-file.js';
import { isSame, listedAt, textAt } from './files.js';
import { type Entry, fromLines, isBad, type Outcome, toLines } from './index-lines.js';
import type { Item } from './inputs.js';
import { operations } from './operations.js';
import { type Part, type Plan, planHash } from './plan.js';

// A part is a folder: the data of its inputs, an index and a record with their hashes. It is filled beside its place and then
// moved there, so it is there whole or not at all.

const Count = Type.Integer({ minimum: 0 });
const File = Type.Object({ bytes: Count, sha256: Type.String() });

const PartRecord = Type.Object({
  plan: Type.String({ description: 'the hash of the plan' }),
  from: Count,
  to: Count,
  rows: Count,
  errors: Type.Record(Type.String(), Count, { description: 'bad inputs by the code of what is wrong' }),
  labels: Type.Record(Type.String(), Count, { description: 'inputs by their most probable label' }),
  files: Type.Record(Type.String(), File),
});
export type PartRecord = Static<typeof PartRecord>;
const validator = Compile(PartRecord);

export const INDEX = 'index.jsonl';
export const IMAGES = 'images';
const RECORD = 'part.json';

export const partFolder = (shard: string, { index }: Part): string =>
  join(shard, `part-${String(index).padStart(5, '0')}`);

/** The file or folder with the data, in a part and in the merged result alike. */
export const dataName = ({ data, operation }: Plan): string =>
  data === 'png' ? IMAGES : `${operations[operation].array}.${data}`;

/** The file of an image, by its position in the job. */
export const imageName = (position: number): string => `${String(position).padStart(9, '0')}.png`;

/** All that a part is made of. */
export interface PartContent {
  readonly part: Part;
  readonly items: readonly Item[];
  readonly outcomes: readonly Outcome[];
  /** As of `Computed`. */
  readonly pieces: readonly Uint8Array[];
}

/** Writes a part; one that is there is replaced. */
export function writePart(shard: string, plan: Plan, content: PartContent): Promise<PartRecord> {
  const { part, outcomes } = content;
  return writeFolder(partFolder(shard, part), async (folder) => {
    const entries = entriesOf(plan, content);
    const positions = outcomes.flatMap((outcome, i) => (isBad(outcome) ? [] : [part.from + i]));
    const files = {
      [dataName(plan)]: await writeData(folder, plan, positions, content.pieces),
      [INDEX]: await writeListed(join(folder, INDEX), [toLines(entries)]),
    };
    const errors = countBy(outcomes.flatMap((outcome) => (isBad(outcome) ? [outcome.error] : [])));
    const labels = countBy(outcomes.flatMap((o) => ('top' in o && o.top ? [o.top[0]!.label] : [])));
    const { from, to } = part;
    const record: PartRecord = { plan: planHash(plan), from, to, rows: positions.length, errors, labels, files };
    await writeFile(join(folder, RECORD), `${JSON.stringify(record)}\n`, { flush: true });
    return record;
  });
}

function entriesOf(plan: Plan, { part, items, outcomes }: PartContent): Entry[] {
  let row = 0;
  return items.map(({ id, path }, i) => {
    const named = path === id || plan.operation === 'invert' ? { id } : { id, path };
    const outcome = outcomes[i]!;
    if (isBad(outcome)) return { ...named, ...outcome };
    if (plan.data === 'png') return { ...named, file: `${IMAGES}/${imageName(part.from + i)}`, ...outcome };
    return { ...named, row: row++, ...outcome };
  });
}

function writeData(folder: string, plan: Plan, positions: readonly number[], pieces: readonly Uint8Array[]) {
  const { data, operation, row, model } = plan;
  if (data === 'png') return writeImages(join(folder, IMAGES), positions, pieces);
  const header = arrayFormats[data].header(operations[operation].array, [positions.length, ...row], { model });
  return writeListed(join(folder, dataName(plan)), [...header, ...pieces]);
}

async function writeImages(
  folder: string,
  positions: readonly number[],
  files: readonly Uint8Array[],
): Promise<Listed> {
  await mkdir(folder);
  const hash = createHash('sha256');
  for (const [i, file] of files.entries()) {
    hash.update(file);
    // Not flushed one by one: what a loss of power takes of them is found by their hash.
    await writeFile(join(folder, imageName(positions[i]!)), file);
  }
  return { bytes: files.reduce((sum, { length }) => sum + length, 0), sha256: hash.digest('hex') };
}

const countBy = (names: readonly string[]): Record<string, number> =>
  addCounts(
    {},
    names.map((name) => ({ [name]: 1 })),
  );

/** Sums of counts by name, the names in order. */
export function addCounts(
  first: Readonly<Record<string, number>>,
  others: readonly Readonly<Record<string, number>>[],
) {
  const sums = new Map(Object.entries(first));
  for (const [name, count] of others.flatMap(Object.entries<number>)) sums.set(name, (sums.get(name) ?? 0) + count);
  return Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The record of a part that is there and belongs to the plan; undefined for any other. */
export async function readRecord(shard: string, plan: Plan, part: Part): Promise<PartRecord | undefined> {
  const record = parsed(await textAt(join(partFolder(shard, part), RECORD)));
  return record?.plan === planHash(plan) && record.from === part.from && record.to === part.to ? record : undefined;
}

/** The same, if its files have the bytes that it says. */
export async function readPart(shard: string, plan: Plan, part: Part): Promise<PartRecord | undefined> {
  const record = await readRecord(shard, plan, part);
  for (const [name, file] of Object.entries(record?.files ?? {})) {
    if (!isSame(await listedAt(join(partFolder(shard, part), name)), file)) return undefined;
  }
  return record;
}

function parsed(text: string | undefined): PartRecord | undefined {
  try {
    const record: unknown = JSON.parse(text ?? '');
    return validator.Check(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

/** A file of a part; undefined where its bytes are not those of the record. */
async function readListed(shard: string, part: Part, record: PartRecord, name: string): Promise<Buffer | undefined> {
  const file = await readFile(join(partFolder(shard, part), name)).catch(() => undefined);
  const listed = record.files[name];
  return file && listed && isSame({ bytes: file.length, sha256: sha256(file) }, listed) ? file : undefined;
}

/** The bytes of a part's rows, without what comes before them in their file; undefined where it is damaged. */
export async function readRows(
  shard: string,
  plan: Plan,
  part: Part,
  record: PartRecord,
): Promise<Uint8Array | undefined> {
  if (plan.data === 'png') throw new TypeError('images have no rows');
  const file = await readListed(shard, part, record, dataName(plan));
  return file?.subarray(arrayFormats[plan.data].start(file));
}

/** The lines of a part's index; undefined where it is damaged. */
export async function readEntries(shard: string, part: Part, record: PartRecord): Promise<Entry[] | undefined> {
  const file = await readListed(shard, part, record, INDEX);
  return file && fromLines(file.toString());
}

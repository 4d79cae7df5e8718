import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { sha256, writeFolder, writeListed } from '../../export/files/write.js';
import { dataName, IMAGES, imageName, rowsIn, writeData } from './data-files.js';
import { isSame, listedAt, textAt } from './files.js';
import { type Entry, fromLines, isBad, type Outcome, toLines } from './index-lines.js';
import { type Item, type Part, type Plan, planHash } from './plan.js';

// A part is a folder with the results of its inputs, an index, and a record with the hashes of both. The folder is filled under
// a temporary name and then renamed, so a killed run leaves no half-written part.

const Count = Type.Integer({ minimum: 0 });
const File = Type.Object({ bytes: Count, sha256: Type.String() });

const PartRecord = Type.Object({
  plan: Type.String({ description: 'the hash of the plan' }),
  from: Count,
  to: Count,
  rows: Count,
  errors: Type.Record(Type.String(), Count, { description: 'the number of bad inputs by error code' }),
  labels: Type.Record(Type.String(), Count, { description: 'the number of inputs by most probable label' }),
  files: Type.Record(Type.String(), File),
});
export type PartRecord = Static<typeof PartRecord>;
const validator = Compile(PartRecord);

export const PARTS = 'parts';
export const INDEX = 'index.jsonl';
const RECORD = 'part.json';

export const partName = (index: number): string => String(index).padStart(5, '0');
export const partFolder = (output: string, { index }: Part): string => join(output, PARTS, partName(index));

/** The results of a part. */
export interface PartContent {
  readonly part: Part;
  readonly items: readonly Item[];
  readonly outcomes: readonly Outcome[];
  /** As in `Computed`. */
  readonly pieces: readonly Uint8Array[];
}

/** Writes a part, and replaces it if it exists. */
export function writePart(output: string, plan: Plan, content: PartContent): Promise<PartRecord> {
  const { part, outcomes } = content;
  return writeFolder(partFolder(output, part), async (folder) => {
    const positions = outcomes.flatMap((outcome, i) => (isBad(outcome) ? [] : [part.from + i]));
    const files = {
      [dataName(plan)]: await writeData(folder, plan, positions, content.pieces),
      [INDEX]: await writeListed(join(folder, INDEX), [toLines(entriesOf(plan, content))]),
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
    const named = path === id || plan.task === 'invert' ? { id } : { id, path };
    const outcome = outcomes[i]!;
    if (isBad(outcome)) return { ...named, ...outcome };
    if (plan.data === 'png') return { ...named, file: `${IMAGES}/${imageName(part.from + i)}`, ...outcome };
    return { ...named, row: row++, ...outcome };
  });
}

const countBy = (names: readonly string[]): Record<string, number> => addCounts(names.map((name) => ({ [name]: 1 })));

/** Adds counts by name. The names of the result are sorted. */
export function addCounts(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums = new Map<string, number>();
  for (const [name, count] of counts.flatMap(Object.entries<number>)) sums.set(name, (sums.get(name) ?? 0) + count);
  return Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export const badIn = ({ from, to, rows }: Pick<PartRecord, 'from' | 'to' | 'rows'>): number => to - from - rows;

/** The record of a part; undefined when the part is missing or belongs to another plan. Hashes of files are not checked. */
export async function readRecord(output: string, plan: Plan, part: Part): Promise<PartRecord | undefined> {
  const record = parsed(await textAt(join(partFolder(output, part), RECORD)));
  return record?.plan === planHash(plan) && record.from === part.from && record.to === part.to ? record : undefined;
}

/** The record of a part; undefined also when a file of the part does not have its hash. */
export async function verifyPart(output: string, plan: Plan, part: Part): Promise<PartRecord | undefined> {
  const record = await readRecord(output, plan, part);
  for (const [name, file] of Object.entries(record?.files ?? {})) {
    if (!isSame(await listedAt(join(partFolder(output, part), name)), file)) return undefined;
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

/** A file of a part; undefined when it does not have its hash. */
async function readListed(output: string, part: Part, record: PartRecord, name: string): Promise<Buffer | undefined> {
  const file = await readFile(join(partFolder(output, part), name)).catch(() => undefined);
  const listed = record.files[name];
  return file && listed && isSame({ bytes: file.length, sha256: sha256(file) }, listed) ? file : undefined;
}

/** The rows of a part, without the header of their file; undefined when the file is damaged. */
export async function readRows(
  output: string,
  plan: Plan,
  part: Part,
  record: PartRecord,
): Promise<Uint8Array | undefined> {
  const file = await readListed(output, part, record, dataName(plan));
  return file && rowsIn(plan, file);
}

/** The lines of the index of a part; undefined when the index is damaged. */
export async function readEntries(output: string, part: Part, record: PartRecord): Promise<Entry[] | undefined> {
  const file = await readListed(output, part, record, INDEX);
  return file && fromLines(file.toString());
}

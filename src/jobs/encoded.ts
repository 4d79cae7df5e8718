import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BatchError } from './errors.js';
import { textAt } from './files.js';
import { type Entry, fromLines } from './index-lines.js';
import type { Item } from './inputs.js';
import { dataName, INDEX, partFolder, readEntries } from './part.js';
import { damaged, wholeShards } from './whole.js';

/** Where the merged result lies in an output folder. */
export const MERGED = 'merged';

/**
 * The images that `batch encode` has encoded into a folder, as inputs of their inverse: of the merged result where there is
 * one, else of the parts.
 * @throws BatchError when the folder holds something else, or shards are missing
 */
export async function encodedRows(root: string): Promise<Item[]> {
  const shards = await wholeShards(root);
  const { plan } = shards[0]!;
  if (plan.operation !== 'encode') {
    throw new BatchError(`${root} holds what batch ${plan.operation} gave; expected features, from batch encode`);
  }
  const index = join(root, MERGED, INDEX);
  if (existsSync(index)) return itemsOf(fromLines((await textAt(index)) ?? ''), `${MERGED}/${dataName(plan)}`);
  const items: Item[] = [];
  for (const shard of shards) {
    for (const { part, record } of shard.parts) {
      const file = join(relative(root, partFolder(shard.folder, part)), dataName(plan));
      items.push(...itemsOf((await readEntries(shard.folder, part, record)) ?? damaged(shard, part), file));
    }
  }
  return items;
}

/** Those that have a row; bad images have none. */
const itemsOf = (entries: readonly Entry[], path: string): Item[] =>
  entries.flatMap((entry) => ('row' in entry ? [{ id: entry.id, path, row: entry.row }] : []));

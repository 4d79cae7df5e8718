import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Summary } from '../src/jobs/run.js';
import { runBatch, startBatch } from './batch-process.js';
import { writeFashion } from './pictures.js';
import { temporaryFolder } from './server.js';
import type { Choice } from './subjects.js';

const IMAGES = 10_000;
const SHARDS = 8;
const PROCESSES = 2;
/** Inputs in a part: five parts in each shard. */
const PART = 250;
/** The shard whose process is killed, and the part after which that happens: the second of that shard. */
const [KILLED, AFTER] = [3, '00016'];

/**
 * Encodes 10,000 images in eight shards by two processes. One process is killed in the middle of a shard, which then runs
 * again. Yields what each run computed, and whether the merged bytes are those of a single process.
 */
export async function* batchKilled(_: Choice): AsyncGenerator<object> {
  await using temporary = await temporaryFolder();
  const folder = temporary.path;
  const images = join(folder, 'images');
  await writeFashion(images, IMAGES);
  const [whole, cut] = [join(folder, 'whole'), join(folder, 'cut')];
  yield { event: 'one process', ...figures(await runBatch('encode', '--input', images, '--output', whole)) };
  await runBatch('merge', whole);
  const worker = async (number: number): Promise<object[]> => {
    const lines: object[] = [];
    for (let shard = number; shard < SHARDS; shard += PROCESSES) {
      const part = ['--shard', `${shard}/${SHARDS}`, '--part', `${PART}`];
      const args = ['encode', '--input', images, '--output', cut, ...part];
      if (shard === KILLED) lines.push(await kill(args, join(cut, 'parts', AFTER)));
      lines.push({ event: 'a shard', ...figures(await runBatch(...args)) });
    }
    return lines;
  };
  for (const lines of await Promise.all(Array.from({ length: PROCESSES }, (_, i) => worker(i)))) yield* lines;
  await runBatch('merge', cut);
  yield { event: 'merged', ...(await compare(join(whole, 'merged'), join(cut, 'merged'))) };
}

const figures = ({ shard, inputs, computed, kept, bad }: Summary) => ({ shard, inputs, computed, kept, bad });

/** Starts a run and kills it as soon as a part exists. */
async function kill(args: readonly string[], part: string): Promise<object> {
  const child = startBatch(args);
  const ended = once(child, 'close');
  while (!existsSync(part) && child.exitCode === null) await sleep(5);
  child.kill('SIGKILL');
  const [, signal] = await ended;
  return { event: 'killed', signal };
}

async function compare(one: string, other: string) {
  const [names, others] = await Promise.all([one, other].map((folder) => readdir(folder)));
  const same = await Promise.all(
    names!.map(async (name) => (await readFile(join(one, name))).equals(await readFile(join(other, name)))),
  );
  return { files: names, identical: `${names}` === `${others}` && same.every(Boolean) };
}

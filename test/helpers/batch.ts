import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { seeded } from '../../export/data/random.js';
import { createModel } from '../../export/model/create.js';
import { networkParameters } from '../../export/model/graphs.js';
import { irevnet } from '../../export/networks/irevnet.js';
import { readConfig, type Setting } from '../../src/common/config.js';
import { type MergeSummary, merge } from '../../src/jobs/merge.js';
import { type Job, runShard, type Summary, type Watcher } from '../../src/jobs/run.js';
import { randomParameters } from './graph.js';
import { pngOf } from './images.js';
import { small, someImages } from './networks.js';

const images = await someImages('test');

export const COUNT = 40;
export const imageName = (i: number): string => `${String(i).padStart(3, '0')}.png`;
export const pixelsOf = (i: number): Buffer => Buffer.from(images.pixels.subarray(i * 784, (i + 1) * 784));

/** A folder with the first test images of Fashion-MNIST, as 000.png and so on, and an output folder beside it. */
export async function places(t: Test, count = COUNT) {
  const folder = t.testdir({ images: {} });
  const input = join(folder, 'images');
  for (let i = 0; i < count; i++) await writeFile(join(input, imageName(i)), await pngOf(images, i));
  return { folder, input, output: join(folder, 'out') };
}

/** A folder with a small model, which loads much faster than the shipped one and has features of the same shape. */
export const models = await mkdtemp(join(tmpdir(), 'irevnet-models-'));
t.teardown(() => rm(models, { recursive: true }));
await createModel(join(models, 'small'), {
  description: 'a small model of random weights',
  architecture: 'irevnet',
  config: small,
  weights: randomParameters(networkParameters(irevnet(small)), seeded(6)),
  labels: Array.from({ length: 10 }, (_, i) => `class ${i}`),
  preprocessing: { fit: 'contain', polarity: 'any' },
  training: null,
});

interface Options {
  readonly settings?: Partial<Record<Setting, string>>;
  readonly signal?: AbortSignal;
  readonly watcher?: Watcher;
}

/** Runs a shard of a job, by default the only one, with one worker and the small model. */
export const run = (
  job: Pick<Job, 'task' | 'input' | 'output'> & Partial<Job>,
  { settings = {}, signal = new AbortController().signal, watcher = silent }: Options = {},
): Promise<Summary> =>
  runShard(
    { shard: { index: 0, of: 1 }, invert: 'auto', topK: 1, readers: 1, ...job },
    readConfig({ workers: '1', threads: '1', models, model: 'small', ...settings }, {}),
    signal,
    watcher,
  );

const silent: Watcher = { begin: () => undefined, step: () => undefined };

export const mergeIn = (output: string): Promise<MergeSummary> => merge(output, () => undefined);

/** Every file of a folder and those below it, by its path. */
export async function filesIn(folder: string): Promise<Record<string, Buffer>> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = files.sort().map(async (file) => [file.slice(folder.length + 1), await readFile(file)] as const);
  return Object.fromEntries(await Promise.all(contents));
}

/** The lines of an index. */
export const linesOf = async (file: string): Promise<Record<string, unknown>[]> =>
  (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

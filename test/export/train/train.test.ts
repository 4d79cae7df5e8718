import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { augment } from '../../../export/data/augment.js';
import { datasets, select } from '../../../export/data/datasets.js';
import { seeded } from '../../../export/data/random.js';
import { CheckpointError, loadCheckpoint } from '../../../export/train/checkpoint.js';
import { checkpointPath, type Recipe, TrainingError, train } from '../../../export/train/loop.js';
import { jsonLines } from '../../../export/train/metrics.js';
import { learningRateAt } from '../../../export/train/schedule.js';
import { cli, finished, startCli } from '../../helpers/cli.js';
import { dataPath, small, someImages } from '../../helpers/networks.js';

const recipe: Recipe = {
  architecture: 'irevnet',
  config: small,
  dataset: 'fashion-mnist',
  validation: 88,
  epochs: 4,
  steps: 0,
  batch: 32,
  labelSmoothing: 0.1,
  momentum: 0.9,
  weightDecay: 5e-4,
  residualPenalty: 0.1,
  from: null,
  schedule: { peak: 0.05, kind: 'one-cycle' },
  augmentation: { shift: 2, flip: true },
  seed: 3,
};

const run = async (folder: string, changes: Partial<Recipe> = {}, signal = new AbortController().signal) =>
  train({
    recipe: { ...recipe, ...changes },
    images: await someImages('train'),
    folder,
    threads: 1,
    checkpointEvery: 10,
    signal,
    metrics: jsonLines(join(folder, 'metrics.jsonl')),
  });

const linesOf = async (folder: string): Promise<Record<string, number & string>[]> =>
  (await readFile(join(folder, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

t.test('training learns', async (t) => {
  const folder = t.testdir();
  t.same(await run(folder), { outcome: 'finished', step: 64, total: 64 });
  const lines = await linesOf(folder);
  const steps = lines.filter((l) => l.kind === 'step');
  const mean = (part: typeof steps) => part.reduce((sum, l) => sum + l.loss!, 0) / part.length;
  t.equal(steps.length, 64);
  t.ok(mean(steps.slice(-8)) < mean(steps.slice(0, 8)) - 0.5, 'the loss falls');
  const validations = lines.filter((l) => l.kind === 'validation');
  t.same(
    validations.map((l) => l.step),
    [16, 32, 48, 64],
  );
  t.ok(validations.at(-1)!.accuracy! > 0.4, 'validation accuracy rises above chance');
});

t.test('a run that is killed goes on as if it had not been', async (t) => {
  const settings = (folder: string) => {
    const named = { data: dataPath('fashion-mnist'), config: join(t.testdirName, 'small.json'), output: folder };
    const numbers = {
      epochs: 4,
      batch: 32,
      validation: 88,
      threads: 1,
      'checkpoint-every': 10,
      steps: 60,
      'learning-rate': 0.05,
    };
    return [
      'train',
      ...Object.entries({ ...named, ...numbers }).flatMap(([flag, value]) => [`--${flag}`, String(value)]),
    ];
  };
  const root = t.testdir({ 'small.json': JSON.stringify({ architecture: 'irevnet', config: small }) });
  const [whole, killed] = [join(root, 'whole'), join(root, 'killed')];
  t.equal((await cli(...settings(whole))).code, 0);

  const victim = startCli(settings(killed));
  const ended = finished(victim);
  while (((await loadCheckpoint(checkpointPath(killed)))?.step ?? 0) < 30 && victim.exitCode === null) await sleep(10);
  victim.kill('SIGKILL');
  t.equal((await ended).code, null, 'killed while training');
  const left = await loadCheckpoint(checkpointPath(killed));
  t.ok(left!.step >= 30 && left!.step < 60, 'a checkpoint is left', { step: left!.step });

  const resumed = await cli(...settings(killed));
  t.equal(resumed.code, 0, resumed.stderr);
  t.match(resumed.stderr, `resuming at step ${left!.step} of 60`);
  t.same(
    await readFile(checkpointPath(killed)),
    await readFile(checkpointPath(whole)),
    'the same bytes in every weight',
  );
  t.same(await linesOf(killed), await linesOf(whole), 'the same metrics, none twice');
});

t.test('an interrupted run is saved', async (t) => {
  const folder = t.testdir();
  const stop = new AbortController();
  stop.abort();
  t.same(await run(folder, {}, stop.signal), { outcome: 'interrupted', step: 1, total: 64 });
  t.equal((await loadCheckpoint(checkpointPath(folder)))!.step, 1);
});

t.test('a run is not resumed with other settings', async (t) => {
  const folder = t.testdir();
  await run(folder, { steps: 2 });
  await t.rejects(
    run(folder, { seed: 4, batch: 16 }),
    new CheckpointError(
      `${folder} holds a run with other settings (batch, seed); use another folder, or the same settings`,
    ),
  );
});

t.test('a damaged checkpoint is refused', async (t) => {
  const folder = t.testdir();
  await run(folder, { steps: 1 });
  const bytes = await readFile(checkpointPath(folder));
  await writeFile(checkpointPath(folder), bytes.subarray(0, bytes.length - 100));
  await t.rejects(run(folder), { name: 'CheckpointError', message: /is damaged: .*Remove it to start again/ });
});

t.test('a loss that is no number stops the run', async (t) => {
  const folder = t.testdir();
  const explosive = { schedule: { peak: 1e30, kind: 'cosine' } } as const;
  await t.rejects(run(folder, explosive), {
    name: 'TrainingError',
    message: /not a finite number at step \d+ .*Try a lower --learning-rate/,
  });
  await t.rejects(
    run(folder, { batch: 1000 }),
    new TrainingError('a batch of 1000 needs as many images, there are 512'),
  );
});

t.test('augmentation moves and mirrors, and invents nothing', async (t) => {
  const images = select(await someImages('train'), [0, 1, 2, 3]);
  const still = augment(images, { shift: 0, flip: false }, seeded(1));
  t.same(still.pixels, images.pixels, 'no shift and no flip change nothing');
  const one = { ...select(images, [0]), count: 1 };
  const moved = new Set<string>();
  for (let seed = 0; seed < 200; seed++)
    moved.add(Buffer.from(augment(one, { shift: 1, flip: true }, seeded(seed)).pixels).toString('base64'));
  t.equal(moved.size, 18, '9 shifts, mirrored or not');
});

t.test('schedules rise and fall as they should', async (t) => {
  const rate = (step: number, kind: 'one-cycle' | 'cosine') => learningRateAt(step, 100, { peak: 1, kind });
  t.equal(rate(0, 'one-cycle'), 1 / 25);
  t.equal(rate(20, 'one-cycle'), 1);
  t.equal(rate(60, 'one-cycle'), 0.5);
  t.equal(rate(0, 'cosine'), 1);
  t.ok(Math.abs(rate(50, 'cosine') - 0.5) < 1e-12);
  t.ok(rate(99, 'cosine') < 0.001 && rate(99, 'one-cycle') < 0.001);
});

t.test('data that is missing or damaged is named', async (t) => {
  const { load } = datasets['fashion-mnist']!;
  await t.rejects(load('/nowhere', 'train'), {
    name: 'DatasetError',
    message: /apt-get install dataset-fashion-mnist; or name the folder with --data/,
  });
  const folder = t.testdir({ 't10k-images-idx3-ubyte': 'no such thing', 't10k-labels-idx1-ubyte.gz': 'nor this' });
  await t.rejects(load(folder, 'test'), { name: 'DatasetError' });
});

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { inMemory, subset } from '../../../export/data/source.js';
import { sha256 } from '../../../export/files/write.js';
import { readSafetensors, writeSafetensors } from '../../../export/formats/safetensors.js';
import { bytesOf, type Tensor } from '../../../export/graph/tensor.js';
import { buildNetwork } from '../../../export/networks/index.js';
import { jsonLines } from '../../../export/train/log.js';
import { TrainingError, type TrainOptions, train } from '../../../export/train/loop.js';
import { type Recipe, readRecipe, type Settings } from '../../../export/train/recipe.js';
import {
  checkpointPath,
  lastCheckpoint,
  loadRun,
  RunError,
  resultCheckpoint,
  type SavedRun,
  saveRun,
  weightsOf,
} from '../../../export/train/saved-run.js';
import { averageRateAt, learningRateAt } from '../../../export/train/schedule.js';
import { type From, startOf } from '../../../export/train/start.js';
import { finished, startCli } from '../../helpers/cli.js';
import { dataPath, small, someImages } from '../../helpers/networks.js';

/** A network of two blocks, of which a training step takes milliseconds. */
const tiny = { ...small, blocks: [1, 1], strides: [2, 2], widths: [8, 32], hidden: [32, 32] };

const recipe: Recipe = {
  network: { name: 'tiny', architecture: 'irevnet', config: tiny },
  dataset: 'fashion-mnist',
  settings: {
    epochs: 3,
    batch: 16,
    schedule: { kind: 'one-cycle', peak: 0.1 },
    momentum: 0.9,
    weightDecay: 5e-4,
    labelSmoothing: 0.1,
    residualPenalty: 0.1,
    average: 0.99,
    augmentation: { resizedCrop: 0.5, shift: 2, flip: true, erase: 0.5 },
    validation: 88,
    seed: 3,
  },
};
const images = inMemory(await someImages('train'));

const run = (folder: string, settings: Partial<Settings> = {}, options: Partial<TrainOptions> = {}) =>
  train({
    recipe: { ...recipe, settings: { ...recipe.settings, ...settings } },
    images,
    folder,
    threads: 1,
    checkpointEvery: 5,
    signal: new AbortController().signal,
    log: jsonLines(join(folder, 'metrics.jsonl')),
    ...options,
  });

const linesOf = async (folder: string): Promise<Record<string, number & string>[]> =>
  (await readFile(join(folder, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

t.test('training learns', async (t) => {
  const folder = t.testdir();
  t.same(await run(folder), { outcome: 'finished', step: 96, total: 96 });
  const lines = await linesOf(folder);
  const steps = lines.filter((l) => l.kind === 'step');
  const mean = (part: typeof steps) => part.reduce((sum, l) => sum + l.loss!, 0) / part.length;
  t.equal(steps.length, 96);
  t.ok(mean(steps.slice(-8)) < mean(steps.slice(0, 8)) - 0.5, 'the loss falls');
  const validations = lines.filter((l) => l.kind === 'validation');
  t.same(
    validations.map((l) => l.step),
    [32, 64, 96],
  );
  t.ok(validations.at(-1)!.accuracy! > 0.4, 'validation accuracy rises above chance');
  const saved = await loadRun(folder);
  t.same([saved!.step, saved!.recipe, saved!.from], [96, recipe, null], 'the checkpoint holds the recipe');
});

t.test('a process that is killed leaves a run that can be resumed, to the same bits', async (t) => {
  const file = { network: 'tiny.json', dataset: 'fashion-mnist', settings: { ...recipe.settings, epochs: 1000 } };
  const root = t.testdir({
    'recipe.json': JSON.stringify(file),
    'tiny.json': JSON.stringify({ architecture: 'irevnet', config: tiny }),
  });
  const [whole, killed] = [join(root, 'whole'), join(root, 'killed')];
  const named = { recipe: join(root, 'recipe.json'), data: dataPath('fashion-mnist'), output: killed };
  const flags = { ...named, threads: 1, 'checkpoint-every': 5, 'learning-rate': 0.05 };
  const victim = startCli(['train', ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)])]);
  const ended = finished(victim);
  while (((await loadRun(killed))?.step ?? 0) < 10 && victim.exitCode === null) await sleep(10);
  victim.kill('SIGKILL');
  t.equal((await ended).code, null, 'killed while training');

  const left = (await loadRun(killed))!;
  const read = await readRecipe(named.recipe);
  const settings = { ...read.settings, schedule: { kind: 'one-cycle', peak: 0.05 } } as const;
  t.same(left.recipe, { ...read, settings }, 'the flags override the recipe');
  const steps = left.step + 7;
  const total = { outcome: 'finished', step: steps, total: steps };
  t.same(await run(killed, { ...settings, steps }), total);
  t.same(await run(whole, { ...settings, steps }), total);
  t.equal(await weightsIn(killed), await weightsIn(whole), 'the same bytes in every weight');
  t.same(await linesOf(killed), await linesOf(whole), 'the same log, nothing twice');
});

/** A hash of every tensor in a checkpoint. */
async function weightsIn(folder: string): Promise<string> {
  const { tensors } = readSafetensors(await readFile(checkpointPath(folder)));
  return sha256(Buffer.concat([...tensors.values()].map((t) => bytesOf(t as Tensor))));
}

t.test('an interrupted run is saved', async (t) => {
  const folder = t.testdir();
  t.same(await run(folder, {}, { signal: AbortSignal.abort() }), { outcome: 'interrupted', step: 1, total: 96 });
  t.equal((await loadRun(folder))!.step, 1);
});

t.test('a run is resumed with the same settings only', async (t) => {
  const folder = t.testdir();
  await run(folder, { steps: 2 });
  await t.rejects(
    run(folder, { seed: 4, batch: 32 }),
    new RunError(`${folder} holds a run with other settings (batch, seed); use another folder, or the same settings`),
  );
  const log = await linesOf(folder);
  const other = { ...recipe, network: { ...recipe.network, config: small } };
  await t.rejects(run(folder, {}, { recipe: other }), /holds a run with other settings \(config\)/);
  t.same(await linesOf(folder), log, 'nothing was written');
  t.match(await run(folder, { steps: 3 }), { step: 3 }, 'more steps continue it');
});

const weightsFrom = (run: SavedRun): From => ({ title: 'the run', weights: weightsOf(run), sha256: 'hash' });

t.test('a run may start from the weights of another one of the same network', async (t) => {
  const [first, second] = [join(t.testdir(), 'first'), join(t.testdirName, 'second')];
  await run(first, { steps: 1 });
  const from = weightsFrom((await loadRun(first))!);
  const other = { ...recipe, network: { name: 'small', architecture: 'irevnet', config: small } };
  await t.rejects(run(second, {}, { from, recipe: other }), {
    name: 'RunError',
    message: /the run is of another network: .* is shape \[.*\], expected \[/,
  });
  t.equal(await loadRun(second), undefined, 'nothing was written');
  await run(second, { steps: 1 }, { from });
  t.equal((await loadRun(second))!.from, 'hash');
  t.not(await weightsIn(second), await weightsIn(first), 'it was trained');
});

t.test('with other classes, all but the last layer starts from the weights that are given', (t) => {
  const networkOf = (classes: number) => buildNetwork({ architecture: 'irevnet', config: { ...tiny, classes } });
  const { parameters, statistics } = startOf(networkOf(10), 1);
  const from = { title: 'the run', weights: new Map([...parameters, ...statistics]), sha256: 'hash' };
  const start = startOf(networkOf(3), 2, from);
  t.same(start.random, ['head.linear.weight', 'head.linear.bias']);
  t.same(start.parameters.get('head.linear.weight')!.dims[0], 3);
  const { random, ...same } = startOf(networkOf(10), 2, from);
  t.same([random, same], [[], { parameters, statistics }]);
  const kept = [...start.parameters].filter(([name]) => !name.startsWith('head.linear'));
  for (const [name, tensor] of kept) t.equal(tensor, parameters.get(name));
  t.end();
});

t.test('a run that an earlier version wrote can be loaded and resumed', async (t) => {
  const folder = t.testdir();
  await run(folder, { steps: 1 });
  const { tensors, metadata } = readSafetensors(await readFile(checkpointPath(folder)));
  const { name, ...network } = recipe.network;
  const old = { ...network, dataset: recipe.dataset, ...recipe.settings, steps: 0, from: null };
  const chunks = writeSafetensors({
    tensors: tensors as Map<string, Tensor>,
    metadata: { ...metadata, format: '1', recipe: JSON.stringify(old) },
  });
  await writeFile(checkpointPath(folder), chunks);
  t.equal((await loadRun(folder))!.recipe.network.name, 'fashion-mnist', 'the network was named after the data set');
  t.match(await run(folder, { steps: 2 }), { outcome: 'finished', step: 2 });
  await writeFile(
    checkpointPath(folder),
    writeSafetensors({ tensors: tensors as Map<string, Tensor>, metadata: { ...metadata, format: '3' } }),
  );
  await t.rejects(loadRun(folder), { name: 'RunError', message: /is of version 3, expected 2/ });
});

t.test('a damaged checkpoint is refused', async (t) => {
  const folder = t.testdir();
  await run(folder, { steps: 1 });
  const bytes = await readFile(checkpointPath(folder));
  await writeFile(checkpointPath(folder), bytes.subarray(0, bytes.length - 100));
  await t.rejects(run(folder), { name: 'RunError', message: /is damaged: .*Remove it to start again/ });
});

t.test('a loss that is not a number stops the run', async (t) => {
  const folder = t.testdir();
  await t.rejects(run(folder, { schedule: { peak: 1e30, kind: 'cosine' } }), {
    name: 'TrainingError',
    message: /not a finite number at step \d+ .*Try a lower --learning-rate/,
  });
  await t.rejects(
    run(folder, { batch: 1000 }),
    new TrainingError('a batch of 1000 needs as many images, there are 512'),
  );
});

t.test('weights that are not numbers are not saved, and the checkpoint from before stays', async (t) => {
  const folder = t.testdir();
  await run(folder, { steps: 1 });
  const before = await readFile(checkpointPath(folder));
  // The loss of a step comes from the weights before it: with a rate beyond float32 they are not numbers after the first, and its loss is one.
  const schedule = { kind: 'steps', peak: 1e300, decayAfter: [3], decayFactor: 0.5 } as Settings['schedule'];
  const from = weightsFrom((await loadRun(folder))!);
  const other = join(folder, 'other');
  await t.rejects(run(other, { schedule, steps: 1 }, { from }), { name: 'TrainingError', message: /at step 1 / });
  t.equal(await loadRun(other), undefined);
  t.same(await readFile(checkpointPath(folder)), before);
});

t.test('a run that recomputes activations is resumed to the same bits', async (t) => {
  const [whole, stopped] = [join(t.testdir(), 'whole'), join(t.testdirName, 'stopped')];
  const settings = { reversible: true, steps: 6 };
  await run(whole, settings);
  await run(stopped, { ...settings, steps: 2 });
  await run(stopped, settings);
  t.equal(await weightsIn(stopped), await weightsIn(whole));
  await t.rejects(run(whole, { ...settings, reversible: false }), /other settings \(reversible\)/);
});

t.test('images that are validated on are not trained on', async (t) => {
  const folder = t.testdir();
  await t.rejects(
    run(
      folder,
      { validation: 32 },
      {
        images: subset(
          images,
          Uint32Array.from({ length: 40 }, (_, i) => i),
        ),
      },
    ),
    /there are 8$/,
  );
});

t.test('schedules rise and fall as they should', async (t) => {
  const rate = (step: number, kind: 'one-cycle' | 'cosine') =>
    learningRateAt({ step, perEpoch: 10, total: 100 }, { peak: 1, kind });
  t.equal(rate(0, 'one-cycle'), 1 / 25);
  t.equal(rate(20, 'one-cycle'), 1);
  t.equal(rate(60, 'one-cycle'), 0.5);
  t.equal(rate(0, 'cosine'), 1);
  t.ok(Math.abs(rate(50, 'cosine') - 0.5) < 1e-12);
  t.ok(rate(99, 'cosine') < 0.001 && rate(99, 'one-cycle') < 0.001);
  const steps = { kind: 'steps', peak: 2, decayAfter: [6, 8], decayFactor: 0.5 } as const;
  const after = (step: number) => learningRateAt({ step, perEpoch: 10, total: 100 }, steps);
  t.same([0, 59, 60, 79, 80, 99].map(after), [2, 2, 1, 1, 0.5, 0.5]);
});

t.test('the average moves towards the weights, faster in the first steps', async (t) => {
  const [first, second] = [join(t.testdir(), 'first'), join(t.testdirName, 'second')];
  await run(first, { steps: 1 });
  const runs = [(await loadRun(first))!];
  const from = weightsFrom(runs[0]!);
  for (const steps of [1, 2]) {
    await run(second, { steps }, { from });
    runs.push((await loadRun(second))!);
  }
  for (const [kind, averaged] of [
    ['parameters', 'averageParameters'],
    ['statistics', 'averageStatistics'],
  ] as const)
    for (const name of runs[0]![kind].keys()) {
      const [start, one, two] = runs.map((r) => r[averaged]!.get(name)!.data as Float32Array);
      const [, first, second] = runs.map((r) => r[kind].get(name)!.data as Float32Array);
      const moved = (average: ArrayLike<number>, to: ArrayLike<number>, rate: number) =>
        Array.from(average, (a, i) => a + rate * (to[i]! - a));
      const near = (a: ArrayLike<number>, b: number[]) =>
        b.every((v, i) => Math.abs(v - a[i]!) < 1e-6 * (1 + Math.abs(v)));
      t.ok(near(one!, moved(start!, first!, 0.9)), `${averaged} of ${name} after a step`);
      t.ok(near(two!, moved(one!, second!, 9 / 11)), `${averaged} of ${name} after two`);
    }
  t.same([...weightsOf(runs[2]!).keys()].length, runs[2]!.parameters.size + runs[2]!.statistics.size);
  t.equal(weightsOf(runs[2]!).get('head.linear.weight'), runs[2]!.averageParameters!.get('head.linear.weight'));
  t.equal(averageRateAt(10_000, 0.99).toFixed(6), '0.010000', 'later by its decay');
});

t.test('the best in validation and the last are kept, also by a run that was resumed', async (t) => {
  const [whole, resumed] = [join(t.testdir(), 'whole'), join(t.testdirName, 'resumed')];
  const settings: Partial<Settings> = {
    average: 0,
    schedule: { kind: 'steps', peak: 0.05, decayAfter: [2], decayFactor: 0.99 },
  };
  await run(whole, settings);
  const accuracies = (await linesOf(whole)).filter((l) => l.kind === 'validation').map((l) => Number(l.accuracy));
  const best = (await loadRun(whole, 'best'))!;
  t.equal(best.accuracy, Math.max(...accuracies));
  t.equal(best.step, 32 * (1 + accuracies.indexOf(best.accuracy!)), 'the first of the best');
  t.equal((await resultCheckpoint(whole))!.run.step, best.step);
  t.equal((await lastCheckpoint(whole))!.run.step, 96);
  // Stopped after its second validation, and then as if it had been killed before the checkpoint that followed.
  await run(resumed, { ...settings, steps: 63 });
  const before = await readFile(checkpointPath(resumed));
  await run(resumed, { ...settings, steps: 64 });
  await writeFile(checkpointPath(resumed), before);
  await saveRun(resumed, { ...(await loadRun(resumed))!, step: 64, accuracy: 2 }, 'best');
  await run(resumed, settings);
  t.ok((await loadRun(resumed, 'best'))!.accuracy! <= 1, 'a best of steps that the run has to do again is forgotten');
  t.same(
    (await linesOf(resumed)).filter((l) => l.kind === 'validation' && l.step! % 32 === 0).map((l) => l.accuracy),
    accuracies,
  );
  t.same(await readFile(checkpointPath(resumed)), await readFile(checkpointPath(whole)), 'the last');
});

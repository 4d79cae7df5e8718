import { isDeepStrictEqual } from 'node:util';
import { augment } from '../data/augment.js';
import type { Images } from '../data/images.js';
import { seeded } from '../data/random.js';
import type { ImageSource } from '../data/source.js';
import { zeros } from '../graph/tensor.js';
import { accuracyOf } from '../model/measure.js';
import { buildNetwork, type Network, withGrid } from '../networks/index.js';
import type { Device } from '../runtime/session.js';
import { batches, draws, partition } from './batches.js';
import type { TrainingLog } from './log.js';
import { packed, unpacked } from './packing.js';
import type { Recipe } from './recipe.js';
import { loadRun, type RunData, RunError, type RunTensors, type SavedRun, saveRun, weightsOf } from './saved-run.js';
import { averageRateAt, learningRateAt } from './schedule.js';
import { type From, startOf } from './start.js';
import { type TrainingStep, trainingStep } from './step.js';
import { openSteps, type State, type StepFeed } from './steps.js';

export interface TrainOptions {
  readonly recipe: Recipe;
  /** Default: random weights. */
  readonly from?: From | undefined;
  /** The training part of the data set, and what the checkpoint says of it. */
  readonly images: ImageSource;
  readonly data?: RunData | undefined;
  /** Where checkpoint.safetensors is kept, and best.safetensors where there are images to validate on. */
  readonly folder: string;
  readonly threads: number;
  /** Default: the CPU. */
  readonly device?: Device | undefined;
  /** Steps from one checkpoint to the next. */
  readonly checkpointEvery: number;
  /** When it is aborted, the run ends after the steps under way, about a second, and is saved. */
  readonly signal: AbortSignal;
  readonly log: TrainingLog;
}

export interface TrainResult {
  readonly outcome: 'finished' | 'interrupted';
  readonly step: number;
  readonly total: number;
}

export class TrainingError extends Error {
  override readonly name = 'TrainingError';
}

/**
 * Trains to the end of the recipe, from the folder's checkpoint if there is one. With the same number of threads, a run
 * that was resumed ends with the same weights, bit for bit, as one that never stopped.
 * @throws TrainingError when the loss is not a number; RunError when the checkpoint is of another recipe
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { recipe, folder, threads, device, signal, log } = options;
  const { settings } = recipe;
  const network = buildNetwork(withGrid(recipe.network, null));
  const step = trainingStep(network, settings);
  const { training, validation } = partition(options.images, settings);
  const perEpoch = Math.floor(training.count / settings.batch);
  if (perEpoch === 0)
    throw new TrainingError(`a batch of ${settings.batch} needs as many images, there are ${training.count}`);
  const scheduled = perEpoch * settings.epochs;
  const total = settings.steps ? Math.min(settings.steps, scheduled) : scheduled;
  const start = await startingPoint(options, network);
  const batchesAt = batches(training, perEpoch, settings);
  let state = stateOf(step, start);
  let best = await bestBefore(folder, start.step);
  const origin = { recipe, from: options.from?.sha256 ?? null, data: options.data ?? null };
  const run = (done: number): SavedRun => ({ ...tensorsOf(step, state), step: done, ...origin });
  const feedOf = (batch: Images, at: number): StepFeed => ({
    images: augment(batch, settings.augmentation, seeded(settings.seed, draws.augmentation, at)),
    learningRate: learningRateAt({ step: at, perEpoch, total: scheduled }, settings.schedule),
    averageRate: settings.average ? averageRateAt(at, settings.average) : undefined,
  });
  /** The next step after which the run is validated or saved. */
  const stopAfter = (at: number) =>
    Math.min(total, ...[perEpoch, options.checkpointEvery].map((every) => (Math.floor(at / every) + 1) * every));
  const validate = async (done: number) => {
    const now = run(done);
    const accuracy = await accuracyOf(network, weightsOf(now), validation, { threads, device });
    if (accuracy > best) await saveRun(folder, { ...now, accuracy }, 'best');
    best = Math.max(best, accuracy);
    await log.validation({ step: done, epoch: done / perEpoch, images: validation.count, accuracy });
  };

  await log.begin({ start: start.step, total, perEpoch, batch: settings.batch });
  const steps = await openSteps(step, { threads, device });
  let pace = 1;
  try {
    for (let at = start.step; at < total; ) {
      const [startedAt, until] = [performance.now(), Math.min(at + pace, stopAfter(at))];
      const images = await batchesAt(at, until - at);
      const feeds = images.map((batch, i) => feedOf(batch, at + i));
      const { losses, correct, state: next } = await steps.take(state, feeds);
      state = next;
      for (const [i, loss] of losses.entries()) {
        const { learningRate } = feeds[i]!;
        if (!Number.isFinite(loss)) throw notANumber(at + i, learningRate, folder);
        const done = at + i + 1;
        await log.step({
          step: done,
          epoch: done / perEpoch,
          loss,
          accuracy: correct[i]! / settings.batch,
          learningRate,
        });
      }
      pace = nextPace(performance.now() - startedAt, feeds);
      at = until;
      const leaving = signal.aborted && at < total;
      const validating = validation.count > 0 && (at % perEpoch === 0 || at === total);
      const saving = at % options.checkpointEvery === 0 || at === total || leaving;
      if ((validating || saving) && !allFinite(state)) throw notANumber(at - 1, feeds.at(-1)!.learningRate, folder);
      // In this order: a run that is killed between the two validates again.
      if (validating) await validate(at);
      if (saving) await saveRun(folder, run(at));
      if (leaving) return { outcome: 'interrupted', step: at, total };
    }
    return { outcome: 'finished', step: total, total };
  } finally {
    await steps.release();
    await log.end();
  }
}

/** Steps in one run of the session take about so long: a signal is heard in between. */
const RUN_MILLISECONDS = 1000;
/** Most steps, and bytes of pixels, in one run of the session. */
const MOST_STEPS = 64;
const MOST_BYTES = 2 ** 26;

/** How many steps the next run of the session should have, after these took so long. */
function nextPace(milliseconds: number, feeds: readonly StepFeed[]): number {
  const fast = Math.floor((feeds.length * RUN_MILLISECONDS) / milliseconds);
  const fit = Math.floor(MOST_BYTES / feeds[0]!.images.pixels.length);
  return Math.max(1, Math.min(fast, fit, MOST_STEPS));
}

/** A run that did not average before starts its averages from its weights. */
function stateOf({ state }: TrainingStep, from: RunTensors): State {
  const { parameters, statistics } = from;
  const run: RunTensors = { averageParameters: parameters, averageStatistics: statistics, ...from };
  return Object.fromEntries(
    Object.entries(state).map(([name, packing]) => [name, packed(packing, run[name as keyof RunTensors]!)]),
  );
}

/** The inverse of `stateOf`. */
const tensorsOf = (step: TrainingStep, state: State): RunTensors =>
  Object.fromEntries(
    Object.entries(step.state).map(([name, packing]) => [name, unpacked(packing, state[name]!)]),
  ) as unknown as RunTensors;

const allFinite = (state: State): boolean => Object.values(state).every(({ data }) => data.every(Number.isFinite));

/** The accuracy of the best checkpoint so far. One that is further than the run is forgotten: the run finds it again. */
async function bestBefore(folder: string, step: number): Promise<number> {
  const best = await loadRun(folder, 'best');
  return best === undefined || best.step > step ? Number.NEGATIVE_INFINITY : best.accuracy!;
}

/** What a run starts from: its own checkpoint, else the weights that it is given, else random ones. */
async function startingPoint(
  { folder, recipe, from, data }: TrainOptions,
  network: Network,
): Promise<RunTensors & { readonly step: number }> {
  const saved = await loadRun(folder);
  if (saved !== undefined) {
    const different = differences(saved, { recipe, from: from?.sha256 ?? null, data: data ?? null });
    if (different.length === 0) return saved;
    throw new RunError(
      `${folder} holds a run with other settings (${different.join(', ')}); use another folder, or the same settings`,
    );
  }
  const { parameters, statistics } = startOf(network, recipe.settings.seed, from);
  const momentum = new Map([...parameters].map(([name, { dims }]) => [name, zeros(dims)]));
  return { step: 0, parameters, momentum, statistics };
}

/** Settings in which two runs differ. A run may be continued with more steps of its schedule. */
function differences(...runs: readonly [Origin, Origin]): string[] {
  const known = runs.every(({ data }) => data !== null);
  const [a, b] = runs.map(
    ({ recipe: { network, dataset, settings }, from, data }): Readonly<Record<string, unknown>> => {
      const { architecture, config } = network;
      const classes = known ? data?.labels : null;
      return { architecture, config, dataset, classes, ...settings, from, steps: 0 };
    },
  ) as [Record<string, unknown>, Record<string, unknown>];
  return Object.keys({ ...a, ...b }).filter((key) => !isDeepStrictEqual(a[key], b[key]));
}
type Origin = Pick<SavedRun, 'recipe' | 'from' | 'data'>;

const notANumber = (step: number, learningRate: number, folder: string): TrainingError =>
  new TrainingError(
    `the loss is not a finite number at step ${step + 1} (learning rate ${learningRate.toPrecision(3)}). ` +
      `Try a lower --learning-rate, a larger --batch or a longer rise; the last checkpoint in ${folder} is from before`,
  );

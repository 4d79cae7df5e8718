import { join } from 'node:path';
import { type Augmentation, augment } from '../data/augment.js';
import { type Images, pixelsOf, select } from '../data/datasets.js';
import { permutation, seeded } from '../data/random.js';
import { emit } from '../graph/emit.js';
import { type NamedTensors, type Tensor, tensor, zeros } from '../graph/tensor.js';
import { networkParameters } from '../model/graphs.js';
import { buildNetwork, type Network, type Specification, withGrid } from '../networks/index.js';
import { openSession } from '../runtime/session.js';
import { accuracyOf } from './accuracy.js';
import { type Checkpoint, CheckpointError, loadCheckpoint, saveCheckpoint } from './checkpoint.js';
import { initialise } from './initialise.js';
import type { Metrics } from './metrics.js';
import { packed, unpacked } from './packing.js';
import { learningRateAt, type Schedule } from './schedule.js';
import { type StepOptions, type TrainingStep, trainingStep } from './step.js';

/** Everything that decides the result of a run. It is stored with every checkpoint. */
export interface Recipe extends Omit<StepOptions, 'lowering'>, Specification {
  readonly dataset: string;
  /** Images set aside from the training set to validate on. */
  readonly validation: number;
  readonly epochs: number;
  /** Ends the run early, on the same schedule; 0: after the last epoch. */
  readonly steps: number;
  readonly schedule: Schedule;
  readonly augmentation: Augmentation;
  readonly seed: number;
  /** SHA-256 of the checkpoint whose weights the run starts from; null: random weights. */
  readonly from: string | null;
}

export interface TrainOptions {
  /** The checkpoint that `recipe.from` names. */
  readonly from?: Checkpoint | undefined;
  readonly recipe: Recipe;
  readonly images: Images;
  /** Where checkpoint.safetensors and metrics.jsonl are kept. */
  readonly folder: string;
  readonly threads: number;
  readonly checkpointEvery: number;
  /** Asks to save and leave after the step under way. */
  readonly signal: AbortSignal;
  readonly metrics: Metrics;
}

export interface TrainResult {
  readonly outcome: 'finished' | 'interrupted';
  readonly step: number;
  readonly total: number;
}

export class TrainingError extends Error {
  override readonly name = 'TrainingError';
}

/** Streams of the random numbers that a run draws. */
const draws = { initial: 0, validation: 1, order: 2, augmentation: 3 } as const;

export const checkpointPath = (folder: string): string => join(folder, 'checkpoint.safetensors');

/**
 * Trains until the recipe's end, or goes on from the folder's checkpoint. A resumed run ends with the same weights, bit
 * for bit, as one that never stopped, given the same seed and number of threads.
 * @throws TrainingError when the loss is not a number; CheckpointError when the checkpoint is of another recipe
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { recipe, folder, signal, metrics } = options;
  const network = buildNetwork(withGrid(recipe, null));
  const step = trainingStep(network, recipe);
  const { training, validation } = partition(options.images, recipe);
  const perEpoch = Math.floor(training.count / recipe.batch);
  if (perEpoch === 0)
    throw new TrainingError(`a batch of ${recipe.batch} needs as many images, there are ${training.count}`);
  const scheduled = perEpoch * recipe.epochs;
  const total = recipe.steps > 0 ? Math.min(recipe.steps, scheduled) : scheduled;
  const start = await startingPoint(options, network);
  const batchAt = batches(training, perEpoch, recipe);
  let state = stateOf(step, start);
  await metrics.begin({ start: start.step, total, perEpoch, batch: recipe.batch });
  const save = (done: number) =>
    saveCheckpoint(checkpointPath(folder), { ...namesOf(step, state), step: done, recipe });

  const session = await openSession(emit(step.graph, noWeights), { threads: options.threads });
  try {
    for (let at = start.step; at < total; at++) {
      const learningRate = learningRateAt(at, scheduled, recipe.schedule);
      const batch = augment(batchAt(at), recipe.augmentation, seeded(recipe.seed, draws.augmentation, at));
      const { loss, correct, ...next } = await session.run({
        ...feeds(batch),
        ...state,
        learningRate: tensor('float32', [], [learningRate]),
      });
      const lossNow = Number(loss!.data[0]);
      if (!Number.isFinite(lossNow)) throw notANumber(at, learningRate, folder);
      state = advanced(next);
      const done = at + 1;
      await metrics.step({
        step: done,
        epoch: done / perEpoch,
        loss: lossNow,
        accuracy: Number(correct!.data[0]) / recipe.batch,
        learningRate,
      });
      const leaving = signal.aborted && done < total;
      if (done % options.checkpointEvery === 0 || done === total || leaving) await save(done);
      if (validation.count > 0 && (done % perEpoch === 0 || done === total)) {
        const { parameters, statistics } = namesOf(step, state);
        const accuracy = await accuracyOf(
          network,
          new Map([...parameters, ...statistics]),
          validation,
          options.threads,
        );
        await metrics.validation({ step: done, epoch: done / perEpoch, images: validation.count, accuracy });
      }
      if (leaving) return { outcome: 'interrupted', step: done, total };
    }
    return { outcome: 'finished', step: total, total };
  } finally {
    await session.release();
    await metrics.end();
  }
}

const noWeights = (): never => {
  throw new TrainingError('the training step takes its weights as inputs');
};

type State = Readonly<Record<'parameters' | 'momentum' | 'statistics', Tensor<'float32'>>>;

const flat = (data: Float32Array) => tensor('float32', [data.length], data);

function stateOf({ trained, statistics }: TrainingStep, from: Omit<Checkpoint, 'recipe'>): State {
  return {
    parameters: flat(packed(trained, from.parameters)),
    momentum: flat(packed(trained, from.momentum)),
    statistics: flat(packed(statistics, from.statistics)),
  };
}

const namesOf = ({ trained, statistics }: TrainingStep, state: State): Record<keyof State, NamedTensors> => ({
  parameters: unpacked(trained, state.parameters.data),
  momentum: unpacked(trained, state.momentum.data),
  statistics: unpacked(statistics, state.statistics.data),
});

const advanced = (next: Record<string, Tensor>): State => ({
  parameters: next.next_parameters as Tensor<'float32'>,
  momentum: next.next_momentum as Tensor<'float32'>,
  statistics: next.next_statistics as Tensor<'float32'>,
});

async function startingPoint(
  { folder, recipe, from }: TrainOptions,
  network: Network,
): Promise<Omit<Checkpoint, 'recipe'>> {
  const saved = await loadCheckpoint(checkpointPath(folder));
  if (saved !== undefined) {
    const different = differences(saved.recipe as Recipe, recipe);
    if (different.length > 0) {
      throw new CheckpointError(
        `${folder} holds a run with other settings (${different.join(', ')}); use another folder, or the same settings`,
      );
    }
    return saved;
  }
  const start = from ?? initial(network, recipe.seed);
  const momentum = new Map([...start.parameters].map(([name, { dims }]) => [name, zeros(dims)]));
  return { ...start, step: 0, momentum };
}

function initial(network: Network, seed: number): Pick<Checkpoint, 'parameters' | 'statistics'> {
  const leaves = networkParameters(network);
  const values = initialise(leaves, seeded(seed, draws.initial));
  const kinds = new Map(leaves.map((p) => [p.source.name, p.source.role.kind]));
  const ofKind = (kind: string): NamedTensors => new Map([...values].filter(([name]) => kinds.get(name) === kind));
  return { parameters: ofKind('trained'), statistics: ofKind('statistic') };
}

/** Settings in which two recipes differ; more steps of the same schedule continue a run. */
function differences(a: Recipe, b: Recipe): string[] {
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])] as (keyof Recipe)[];
  return keys.filter((key) => key !== 'steps' && JSON.stringify(a[key]) !== JSON.stringify(b[key]));
}

function partition(images: Images, { validation, seed }: Recipe): Record<'training' | 'validation', Images> {
  if (validation === 0) return { training: images, validation: select(images, []) };
  const order = permutation(images.count, seeded(seed, draws.validation));
  return {
    validation: select(images, order.subarray(0, validation)),
    training: select(images, order.subarray(validation).sort()),
  };
}

/** The images of each step; every epoch has an order of its own. */
function batches(images: Images, perEpoch: number, { batch, seed }: Recipe): (step: number) => Images {
  let current: { epoch: number; order: Uint32Array } = { epoch: -1, order: Uint32Array.of() };
  return (step) => {
    const epoch = Math.floor(step / perEpoch);
    if (current.epoch !== epoch)
      current = { epoch, order: permutation(images.count, seeded(seed, draws.order, epoch)) };
    const first = (step % perEpoch) * batch;
    return select(images, current.order.subarray(first, first + batch));
  };
}

const feeds = (images: Images): Record<'pixels' | 'labels', Tensor> => ({
  pixels: pixelsOf(images),
  labels: tensor('int64', [images.count], images.labels),
});

const notANumber = (step: number, learningRate: number, folder: string): TrainingError =>
  new TrainingError(
    `the loss is not a finite number at step ${step + 1} (learning rate ${learningRate.toPrecision(3)}). ` +
      `Try a lower --learning-rate, a larger --batch or a longer rise; the last checkpoint in ${folder} is from before`,
  );

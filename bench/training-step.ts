import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { noiseImages } from '../export/data/noise.js';
import { emit } from '../export/graph/emit.js';
import { type Tensor, tensor } from '../export/graph/tensor.js';
import { networkParameters } from '../export/model/graphs.js';
import { configurations } from '../export/networks/configurations.js';
import { buildNetwork, withGrid } from '../export/networks/index.js';
import { openSession, type SessionOptions } from '../export/runtime/session.js';
import { packed } from '../export/train/packing.js';
import { trainingStep as buildStep } from '../export/train/step.js';
import { temporaryFolder } from './server.js';
import { median, rounded, timed } from './statistics.js';
import { randomModel, randomWeights } from './subjects.js';
import { baseline, python, REMEDY, torchSettings } from './torch.js';

/** Images in a step. */
export const BATCH = 128;
const STEPS = 12;
const ROUNDS = 3;
const WARM_UP = 2;
const LEARNING_RATE = 0.02;
const recipe = { batch: BATCH, labelSmoothing: 0.1, momentum: 0.9, weightDecay: 5e-4, residualPenalty: 0 };
const configuration = withGrid(configurations['fashion-mnist']!, null);
const network = buildNetwork(configuration);

/**
 * The time of a training step over PyTorch's, measured in turn on the same network, weights and images. The losses, which have
 * to agree, are printed as well.
 */
export async function* trainingStep(): AsyncGenerator<object> {
  const threads = availableParallelism();
  await using folder = await temporaryFolder();
  await randomModel(join(folder.path, 'model'), configuration);
  const [pixels, start] = [join(folder.path, 'pixels.bin'), join(folder.path, 'start.json')];
  await writeFile(pixels, noise().data);
  const settings = {
    ...(await torchSettings(join(folder.path, 'model'))),
    ...recipe,
    pixels: { file: pixels, shape: noise().dims },
    learningRate: LEARNING_RATE,
    steps: STEPS,
    threads,
  };
  await writeFile(start, JSON.stringify(settings));
  const rounds: (readonly [ours: Steps, torch: Steps])[] = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push([await ownSteps({ threads }), await torchSteps(start)]);
  const [stepMs, pytorchMs] = [0, 1].map((i) => median(rounds.flatMap((r) => r[i]!.milliseconds.slice(WARM_UP))));
  const [ours, torch] = rounds.at(-1)!;
  yield {
    batch: BATCH,
    threads,
    stepMs: rounded(stepMs!),
    pytorchMs: rounded(pytorchMs!),
    ratio: rounded(stepMs! / pytorchMs!),
    lossAfter: { steps: STEPS, irevnet: ours.losses.at(-1), pytorch: torch.losses.at(-1) },
  };
}

interface Steps {
  readonly milliseconds: readonly number[];
  readonly losses: readonly number[];
}

/** Training steps on one batch of noise; the labels are 0, 1, … 9, 0, … Each is timed from JavaScript to JavaScript. */
export async function ownSteps(options: SessionOptions): Promise<Steps> {
  const step = buildStep(network, recipe);
  const bytes = emit(step.graph, () => {
    throw new Error('weights are inputs');
  });
  const session = await openSession(bytes, options);
  const weights = randomWeights(networkParameters(network));
  const flat = (values: Float32Array): Tensor => tensor('float32', [values.length], values);
  const parameters = flat(packed(step.state.parameters, weights));
  const constant = {
    pixels: noise(),
    labels: tensor(
      'int64',
      [BATCH],
      BigInt64Array.from({ length: BATCH }, (_, i) => BigInt(i % network.classes)),
    ),
    learningRate: tensor('float32', [], [LEARNING_RATE]),
  };
  let state: Record<string, Tensor> = {
    parameters,
    momentum: flat(new Float32Array(parameters.data.length)),
    statistics: flat(packed(step.state.statistics, weights)),
  };
  const milliseconds: number[] = [];
  const losses: number[] = [];
  for (let i = 0; i < STEPS; i++) {
    const ms = await timed(async () => {
      const { loss, correct, ...next } = await session.run({ ...constant, ...state });
      state = Object.fromEntries(Object.entries(next).map(([name, value]) => [name.replace('next_', ''), value]));
      losses.push(Number(loss!.data[0]));
    });
    milliseconds.push(ms);
  }
  await session.release();
  return { milliseconds, losses };
}

function noise(): Tensor<'uint8'> {
  const { pixels, count, height, width, channels } = noiseImages(BATCH, network.input, 2);
  return tensor('uint8', [count, height, width, channels], pixels);
}

async function torchSteps(settings: string): Promise<Steps> {
  try {
    const { stdout } = await promisify(execFile)(python, [...baseline('training_step.py'), settings]);
    return JSON.parse(stdout) as Steps;
  } catch (error) {
    throw new Error(REMEDY, { cause: error });
  }
}

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { noiseImages } from '../export/data/noise.js';
import { seeded } from '../export/data/random.js';
import { packagePath } from '../export/files/package.js';
import { writeSafetensors } from '../export/formats/safetensors.js';
import { emit } from '../export/graph/emit.js';
import { type Tensor, tensor } from '../export/graph/tensor.js';
import { networkParameters } from '../export/model/graphs.js';
import { configurations } from '../export/networks/configurations.js';
import { buildNetwork, type Network, withGrid } from '../export/networks/index.js';
import { openSession, type SessionOptions } from '../export/runtime/session.js';
import { initialise } from '../export/train/initialise.js';
import { packed } from '../export/train/packing.js';
import { trainingStep as buildStep } from '../export/train/step.js';
import { median, rounded, timed } from './statistics.js';

export const BATCH = 128;
const STEPS = 12;
const ROUNDS = 3;
const WARM_UP = 2;
const options = { batch: BATCH, labelSmoothing: 0.1, momentum: 0.9, weightDecay: 5e-4, residualPenalty: 0 };
const LEARNING_RATE = 0.02;

/**
 * Time of a training step over PyTorch's on the same network, from the same weights and on the same images: a few steps
 * of one, then of the other, in turn. The losses are printed as well: they have to agree.
 */
export async function* trainingStep(): AsyncGenerator<object> {
  const threads = availableParallelism();
  const specification = withGrid(configurations['fashion-mnist']!, null);
  const network = buildNetwork(specification);
  const weights = initialise(networkParameters(network), seeded(1));
  const images = noiseImages(BATCH, network.input, 2);
  const labels = Uint8Array.from({ length: BATCH }, (_, i) => i % 10);
  const folder = await mkdtemp(join(tmpdir(), 'irevnet-bench-'));
  const [mine, theirs]: number[][] = [[], []];
  let losses: number[] = [];
  let reference: number[] = [];
  try {
    const shared = join(folder, 'start.safetensors');
    const data = {
      pixels: tensor('uint8', [BATCH, 28, 28, 1], images.pixels),
      labels: tensor('uint8', [BATCH], labels),
    };
    const tensors = new Map<string, Tensor>([...weights, ...Object.entries(data)]);
    const settings = { ...options, learningRate: LEARNING_RATE, steps: STEPS, threads };
    const metadata = { config: JSON.stringify(specification.config), settings: JSON.stringify(settings) };
    await writeFile(shared, writeSafetensors({ tensors, metadata }));
    for (let round = 0; round < ROUNDS; round++) {
      const ours = await ownSteps(network, weights, { ...data, labels: tensor('int64', [BATCH], labels) }, { threads });
      const torch = await torchSteps(shared);
      mine!.push(...ours.milliseconds.slice(WARM_UP));
      theirs!.push(...torch.milliseconds.slice(WARM_UP));
      [losses, reference] = [ours.losses, torch.losses];
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  const [stepMs, pytorchMs] = [median(mine!), median(theirs!)];
  yield {
    batch: BATCH,
    threads,
    stepMs: rounded(stepMs),
    pytorchMs: rounded(pytorchMs),
    ratio: rounded(stepMs / pytorchMs),
    lossAfter: { steps: STEPS, irevnet: losses.at(-1), pytorch: reference.at(-1) },
  };
}

interface Steps {
  readonly milliseconds: number[];
  readonly losses: number[];
}

/** Some steps on one batch, each timed with its way through JavaScript. */
export async function ownSteps(
  network: Network,
  weights: Map<string, Tensor<'float32'>>,
  data: Record<'pixels' | 'labels', Tensor>,
  sessionOptions: SessionOptions,
): Promise<Steps> {
  const step = buildStep(network, options);
  const bytes = emit(step.graph, () => {
    throw new Error('weights are inputs');
  });
  const session = await openSession(bytes, sessionOptions);
  const flat = (values: Float32Array): Tensor => tensor('float32', [values.length], values);
  const parameters = flat(packed(step.trained, weights));
  const learningRate = tensor('float32', [], [LEARNING_RATE]);
  let state: Record<string, Tensor> = {
    parameters,
    momentum: flat(new Float32Array(parameters.data.length)),
    statistics: flat(packed(step.statistics, weights)),
  };
  const steps: Steps = { milliseconds: [], losses: [] };
  for (let i = 0; i < STEPS; i++) {
    const ms = await timed(async () => {
      const { loss, correct, ...next } = await session.run({ ...data, ...state, learningRate });
      state = Object.fromEntries(Object.entries(next).map(([name, value]) => [name.replace('next_', ''), value]));
      steps.losses.push(Number(loss!.data[0]));
    });
    steps.milliseconds.push(ms);
  }
  await session.release();
  return steps;
}

/** Debian's python3-torch; the interpreter is a setting, for those who have PyTorch elsewhere. */
async function torchSteps(start: string): Promise<Steps> {
  const python = process.env.PYTHON ?? '/usr/bin/python3';
  try {
    const { stdout } = await promisify(execFile)(python, [packagePath('bench', 'training_step.py'), start]);
    return JSON.parse(stdout) as Steps;
  } catch (error) {
    const remedy = 'On Debian: apt-get install python3-torch; or name a Python that has PyTorch in PYTHON';
    throw new Error(`PyTorch did not run (${(error as Error).message.split('\n')[0]}). ${remedy}`);
  }
}

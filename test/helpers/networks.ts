import type { Images } from '../../export/data/images.js';
import { openDataset } from '../../export/data/index.js';
import { seeded } from '../../export/data/random.js';
import { packagePath } from '../../export/files/package.js';
import { type NamedTensors, type Tensor, zeros } from '../../export/graph/tensor.js';
import { networkParameters } from '../../export/model/graphs.js';
import type { ArchitectureName, Network } from '../../export/networks/index.js';
import type { IRevNetConfig } from '../../export/networks/irevnet.js';
import { initialise } from '../../export/train/initialise.js';
import { packed, unpacked } from '../../export/train/packing.js';
import { type StepOptions, trainingStep } from '../../export/train/step.js';
import { openSteps, type State } from '../../export/train/steps.js';

/** Files that tests read; they stay in the source tree when the tests are compiled. */
export const dataPath = (...parts: string[]): string => packagePath('test', 'data', ...parts);

/** The first 600 training and 200 test images of Fashion-MNIST. */
export async function someImages(part: 'train' | 'test'): Promise<Images> {
  const dataset = await openDataset({ name: 'fashion-mnist', path: dataPath('fashion-mnist') });
  const content = await dataset.load(part);
  if (content.kind !== 'pixels') throw new Error('expected pixels');
  return content.images;
}

/** A bijective network small enough to train in a test: three stages, every kind of convolution lowering. */
export const small: IRevNetConfig = {
  input: { height: 28, width: 28, channels: 1, padding: 2, mean: [0.286], std: [0.353] },
  classes: 10,
  initialPsi: 2,
  blocks: [2, 1, 1, 2],
  strides: [1, 2, 2, 2],
  widths: [2, 8, 32, 128],
  hidden: [16, 16, 16, 16],
  kernels: [3, 3, 3],
  injective: false,
  grid: 12,
};

/** Other shapes of the same family: colour, kernels 1-3-1, stride 2 at once, injective padding, initial ψ of 4. */
export const variants: Readonly<Record<string, IRevNetConfig>> = {
  small,
  'kernels 1-3-1': { ...small, kernels: [1, 3, 1] },
  'colour, initial ψ 4': {
    ...small,
    input: { height: 24, width: 16, channels: 3, padding: 0, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] },
    initialPsi: 4,
    blocks: [1, 2],
    strides: [1, 2],
    widths: [24, 96],
    hidden: [8, 12],
  },
  'injective, no initial ψ': {
    ...small,
    input: { height: 8, width: 8, channels: 3, padding: 0, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] },
    initialPsi: 1,
    injective: true,
    blocks: [2, 1, 1],
    strides: [1, 2, 1],
    widths: [4, 16, 20],
    hidden: [4, 8, 8],
  },
};

/** A few channels and blocks of each architecture, so that all of it runs in a moment. */
export const miniature: Record<ArchitectureName, object> = {
  irevnet: {
    input: { height: 16, width: 16, channels: 3, padding: 0, mean: [0, 0, 0], std: [1, 1, 1] },
    classes: 5,
    initialPsi: 2,
    blocks: [2, 2],
    strides: [1, 2],
    widths: [8, 32],
    hidden: [4, 8],
    kernels: [1, 3, 1],
    injective: true,
    grid: null,
  },
  revnet: {
    input: { height: 32, width: 48, channels: 3, padding: 0, mean: [0, 0, 0], std: [1, 1, 1] },
    classes: 5,
    stem: 8,
    units: [2, 3],
    widths: [16, 24],
  },
  resnet: {
    input: { height: 32, width: 48, channels: 3, padding: 0, mean: [0, 0, 0], std: [1, 1, 1] },
    classes: 5,
    stem: 8,
    blocks: [2, 2],
    hidden: [4, 6],
  },
};

/** What some training steps on one batch led to. */
export interface Trained {
  /** The cross-entropy before each step. */
  readonly losses: readonly number[];
  /** The gradient in the first step. */
  readonly gradient: NamedTensors;
}

/** Takes training steps on one batch, from random weights: the graph that training runs, run by ONNX Runtime. */
export async function trainSteps(
  network: Network,
  images: Images,
  steps: number,
  options: Partial<StepOptions> & { learningRate: number },
): Promise<Trained> {
  const step = trainingStep(network, {
    batch: images.count,
    labelSmoothing: 0.1,
    momentum: 0.9,
    weightDecay: 0,
    residualPenalty: 0,
    ...options,
  });
  const weights = initialise(networkParameters(network), seeded(4));
  const parameters = packed(step.state.parameters, weights);
  let state: State = {
    parameters,
    momentum: zeros(parameters.dims),
    statistics: packed(step.state.statistics, weights),
  };
  const session = await openSteps(step, { threads: 1 });
  const feed = { images, learningRate: options.learningRate };
  const losses: number[] = [];
  const momenta: Tensor<'float32'>[] = [];
  for (let i = 0; i < steps; i++) {
    const taken = await session.take(state, [feed]);
    losses.push(...taken.losses);
    momenta.push(taken.state.momentum!);
    state = taken.state;
  }
  await session.release();
  return { losses, gradient: unpacked(step.state.parameters, momenta[0]!) };
}

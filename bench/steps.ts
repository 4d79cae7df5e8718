import type { Images } from '../export/data/images.js';
import { noiseImages } from '../export/data/noise.js';
import { zeros } from '../export/graph/tensor.js';
import { networkParameters } from '../export/model/graphs.js';
import type { Network } from '../export/networks/index.js';
import type { SessionOptions } from '../export/runtime/session.js';
import { packed } from '../export/train/packing.js';
import { type StepOptions, trainingStep } from '../export/train/step.js';
import { openSteps as openSession, type State } from '../export/train/steps.js';
import { timed } from './statistics.js';
import { randomWeights } from './subjects.js';

/** Recipe of the steps that are measured; the rate is constant. */
export const recipe = { labelSmoothing: 0.1, momentum: 0.9, weightDecay: 5e-4, residualPenalty: 0 };
export const LEARNING_RATE = 0.02;

/** What training steps took, from JavaScript to JavaScript, by step, and the loss before the last. */
export interface Step {
  readonly milliseconds: number;
  readonly loss: number;
}

export interface Stepper extends AsyncDisposable {
  readonly parameters: number;
  /** Takes steps in one run of the session. */
  steps(count?: number): Promise<Step>;
}

/** A batch of noise. Its labels are 0, 1, … again and again. */
export const noise = ({ input, classes }: Network, batch: number): Images => ({
  ...noiseImages(batch, input, 2),
  labels: Uint16Array.from({ length: batch }, (_, i) => i % classes),
});

/** Training from random weights on one batch of noise. */
export async function openSteps(
  network: Network,
  { batch, reversible }: Pick<StepOptions, 'batch' | 'reversible'>,
  options: SessionOptions,
): Promise<Stepper> {
  const step = trainingStep(network, { ...recipe, batch, reversible });
  const session = await openSession(step, options);
  const weights = randomWeights(networkParameters(network));
  const parameters = packed(step.state.parameters, weights);
  const feed = { images: noise(network, batch), learningRate: LEARNING_RATE };
  let state: State = {
    parameters,
    momentum: zeros(parameters.dims),
    statistics: packed(step.state.statistics, weights),
  };
  return {
    parameters: parameters.data.length,
    async steps(count = 1) {
      let loss = Number.NaN;
      const milliseconds = await timed(async () => {
        const taken = await session.take(state, new Array(count).fill(feed));
        state = taken.state;
        loss = taken.losses.at(-1)!;
      });
      return { milliseconds: milliseconds / count, loss };
    },
    [Symbol.asyncDispose]: () => session.release(),
  };
}

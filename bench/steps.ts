import { noiseImages } from '../export/data/noise.js';
import { emit } from '../export/graph/emit.js';
import { type Tensor, tensor } from '../export/graph/tensor.js';
import { networkParameters } from '../export/model/graphs.js';
import type { Network } from '../export/networks/index.js';
import { openSession, type SessionOptions } from '../export/runtime/session.js';
import { packed } from '../export/train/packing.js';
import { type StepOptions, trainingStep } from '../export/train/step.js';
import { timed } from './statistics.js';
import { randomWeights } from './subjects.js';

/** Recipe of the steps that are measured; the rate is constant. */
export const recipe = { labelSmoothing: 0.1, momentum: 0.9, weightDecay: 5e-4, residualPenalty: 0 };
export const LEARNING_RATE = 0.02;

/** What a training step took, from JavaScript to JavaScript, and the loss before it. */
export interface Step {
  readonly milliseconds: number;
  readonly loss: number;
}

/** Takes training steps, one a call. */
export interface Stepper extends AsyncDisposable {
  readonly parameters: number;
  step(): Promise<Step>;
}

/** A batch of noise, uint8 [N, H, W, C]. Its labels are 0, 1, … again and again. */
export function noise({ input }: Network, batch: number): Tensor<'uint8'> {
  const { pixels, count, height, width, channels } = noiseImages(batch, input, 2);
  return tensor('uint8', [count, height, width, channels], pixels);
}

/** Training from random weights on one batch of noise. */
export async function openSteps(
  network: Network,
  { batch, reversible }: Pick<StepOptions, 'batch' | 'reversible'>,
  options: SessionOptions,
): Promise<Stepper> {
  const { graph, state: parts } = trainingStep(network, { ...recipe, batch, reversible });
  const bytes = emit(graph, () => {
    throw new Error('weights are inputs');
  });
  const session = await openSession(bytes, options);
  const weights = randomWeights(networkParameters(network));
  const flat = (values: Float32Array): Tensor => tensor('float32', [values.length], values);
  const parameters = flat(packed(parts.parameters, weights));
  const constant = {
    pixels: noise(network, batch),
    labels: tensor(
      'int64',
      [batch],
      BigInt64Array.from({ length: batch }, (_, i) => BigInt(i % network.classes)),
    ),
    learningRate: tensor('float32', [], [LEARNING_RATE]),
  };
  let state: Record<string, Tensor> = {
    parameters,
    momentum: flat(new Float32Array(parameters.data.length)),
    statistics: flat(packed(parts.statistics, weights)),
  };
  return {
    parameters: parameters.data.length,
    async step() {
      let before = Number.NaN;
      const milliseconds = await timed(async () => {
        const { loss, correct, ...next } = await session.run({ ...constant, ...state });
        state = Object.fromEntries(Object.entries(next).map(([name, value]) => [name.replace('next_', ''), value]));
        before = Number(loss!.data[0]);
      });
      return { milliseconds, loss: before };
    },
    [Symbol.asyncDispose]: () => session.release(),
  };
}

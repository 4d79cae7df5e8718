import type { Images } from '../data/images.js';
import { emitScan } from '../graph/emit.js';
import type { Graph } from '../graph/graph.js';
import { type Tensor, tensor } from '../graph/tensor.js';
import { contiguousSums } from '../lower/contiguous-sums.js';
import { openSession, type SessionOptions } from '../runtime/session.js';
import type { TrainingStep } from './step.js';

/** The tensors of a run as the training step takes them: each packed into one tensor of rows. */
export type State = Readonly<Record<string, Tensor<'float32'>>>;

/** What one step takes. */
export interface StepFeed {
  readonly images: Images;
  readonly learningRate: number;
  /** Where a moving average is kept: the share that the new weights have in it. */
  readonly averageRate?: number | undefined;
}

/** What steps gave: the loss before each, the images of each whose label had the highest score, the state after the last. */
export interface Stepped {
  readonly losses: readonly number[];
  readonly correct: readonly number[];
  readonly state: State;
}

/** Takes training steps. */
export interface Steps {
  /** As many steps as there are feeds, in one run of the session: the state stays on the device from one to the next. */
  take(state: State, feeds: readonly StepFeed[]): Promise<Stepped>;
  release(): Promise<void>;
}

/** Opens a session of training steps. @throws ONNX Runtime's own error when it does not load */
export async function openSteps({ graph, state: parts }: TrainingStep, options: SessionOptions): Promise<Steps> {
  const carried = Object.fromEntries(Object.keys(parts).map((name) => [name, `next_${name}`]));
  const lowered = options.device?.provider === 'cuda' ? forCuda(graph) : graph;
  const model = emitScan(lowered, carried, () => {
    throw new Error('the training step takes its weights as inputs');
  });
  const session = await openSession(model, options);
  return {
    async take(state, feeds) {
      const { loss, correct, ...next } = await session.run({ ...state, ...stacked(feeds) });
      return {
        losses: Array.from(loss!.data, Number),
        correct: Array.from(correct!.data, Number),
        state: Object.fromEntries(Object.entries(carried).map(([name, out]) => [name, next[out] as Tensor<'float32'>])),
      };
    },
    release: () => session.release(),
  };
}

function forCuda({ outputs, ...graph }: Graph): Graph {
  const renamed = contiguousSums(Object.values(outputs));
  return {
    ...graph,
    outputs: Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, renamed(value)])),
  };
}

/** What the steps take, a row for each. */
function stacked(feeds: readonly StepFeed[]): Record<string, Tensor> {
  const { count, height, width, channels } = feeds[0]!.images;
  const runs = feeds.length;
  const size = count * height * width * channels;
  const pixels = new Uint8Array(runs * size);
  const labels = new BigInt64Array(runs * count);
  for (const [i, { images }] of feeds.entries()) {
    pixels.set(images.pixels, i * size);
    labels.set(BigInt64Array.from(images.labels, BigInt), i * count);
  }
  const rates = (name: 'learningRate' | 'averageRate') =>
    tensor(
      'float32',
      [runs],
      feeds.map((feed) => feed[name]!),
    );
  return {
    pixels: tensor('uint8', [runs, count, height, width, channels], pixels),
    labels: tensor('int64', [runs, count], labels),
    learningRate: rates('learningRate'),
    ...(feeds[0]!.averageRate !== undefined && { averageRate: rates('averageRate') }),
  };
}

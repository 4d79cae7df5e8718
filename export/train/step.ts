import { grad } from '../graph/grad.js';
import { constant, type Graph, input, parametersOf, type Value } from '../graph/graph.js';
import { reduceSum } from '../graph/ops/broadcast.js';
import { add, cast, equal, less, mul, neg, square, sub, sumOf } from '../graph/ops/elementwise.js';
import { concat, reshape } from '../graph/ops/movement.js';
import { logSoftmax } from '../graph/ops/normalisation.js';
import { reduceMax, reduceMean } from '../graph/ops/reduce.js';
import { staticShape } from '../graph/shape.js';
import { tensor } from '../graph/tensor.js';
import { batchInnermost, type Lowered } from '../lower/batch-innermost.js';
import { withBatchStatistics } from '../lower/batch-statistics.js';
import { ConfigError, encode, type Network, type State } from '../networks/network.js';
import { inRows, type Packing, packedShape, StoredParameters } from './packing.js';
import { type Asked, passes, recomputedGradients } from './reversible.js';

export interface StepOptions {
  readonly batch: number;
  readonly labelSmoothing: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** Weight in the loss of the mean of F(x)² over all blocks together; see `residualEnergy`. */
  readonly residualPenalty: number;
  /** Decay of a moving average of the weights; 0 or absent: none is kept. */
  readonly average?: number | undefined;
  /** Whether activations are recomputed from the outputs of blocks that have an inverse, so that memory hardly grows with depth. */
  readonly reversible?: boolean | undefined;
}

/** Running statistics move this far towards those of each batch (PyTorch's default). */
const STATISTICS_RATE = 0.1;

export interface TrainingStep {
  readonly graph: Graph;
  /** The tensors that go from step to step, and how each is made up. */
  readonly state: Readonly<Record<StateName, Packing>> | Readonly<Record<StateName | AverageName, Packing>>;
}
export type StateName = 'parameters' | 'momentum' | 'statistics';
export type AverageName = 'averageParameters' | 'averageStatistics';

/**
 * One step of SGD as a graph: forward in training mode, cross-entropy, gradients, update.
 *
 * Inputs: pixels uint8 [B, H, W, C], labels int64 [B], learningRate float32 [], and the state: parameters, momentum
 * float32 [P, 256], statistics float32 [S, 256], packed in rows. With an average also averageRate float32 [], the share that the new weights
 * have in it, and the state averageParameters and averageStatistics, alike. Outputs: the next state under the same
 * names with `next_` before them, loss float32 [] and `correct`, the number of images whose label has the highest score.
 */
export function trainingStep(network: Network, options: StepOptions): TrainingStep {
  const { batch } = options;
  const { height, width, channels } = network.input;
  const pixels = input('pixels', 'uint8', [batch, height, width, channels]);
  const labels = input('labels', 'int64', [batch]);
  const learningRate = input('learningRate', 'float32', []);
  const { logits, states } = encode(network, network.pixels.forward(pixels));
  const forward = options.reversible ? recomputing(network, states, options) : remembering(network, states, options);
  const written = [logits, ...forward.asked];
  const training = withBatchStatistics(written);
  const observations = new Map(training.observations.map(({ running, observed }) => [running, observed]));
  const leaves = parametersOf([logits]);
  const stored = new StoredParameters(
    'parameters',
    leaves.filter((p) => p.source.role.kind === 'trained'),
  );
  const heads = written.map(training.renamed);
  const lowered = batchInnermost([...heads, ...observations.values()], stored.as);
  const trained = lowered.after(training.renamed);
  const { loss, correct } = crossEntropy(trained.plain(logits), labels, network.classes, options.labelSmoothing);
  const gradient = concat(forward.gradients(loss, trained, stored), 0);

  const momentum = input('momentum', 'float32', stored.packed.type.shape);
  const next = nesterov(stored.packed, momentum, gradient, learningRate, options);
  const running = leaves.filter((p) => p.source.role.kind === 'statistic');
  const statistics = input('statistics', 'float32', packedShape(running));
  const observed = concat(
    running.map((p) => inRows(lowered.plain(observations.get(p)!))),
    0,
  );
  const nextStatistics = add(mul(statistics, 1 - STATISTICS_RATE), mul(observed, STATISTICS_RATE));
  const average = options.average ? averages({ parameters: next.parameters, statistics: nextStatistics }) : noAverages;
  return {
    graph: {
      name: 'training-step',
      inputs: [pixels, labels, learningRate, stored.packed, momentum, statistics, ...average.inputs],
      outputs: {
        next_parameters: next.parameters,
        next_momentum: next.momentum,
        next_statistics: nextStatistics,
        ...average.outputs,
        loss,
        correct,
      },
    },
    state: stateOf(
      stored.packing(),
      running.map((p) => ({ parameter: p, perm: [0] })),
      options,
    ),
  };
}

/** What each tensor of the state is made up of. */
function stateOf(trained: Packing, statistics: Packing, { average }: StepOptions): TrainingStep['state'] {
  const own = { parameters: trained, momentum: trained, statistics };
  return average ? { ...own, averageParameters: trained, averageStatistics: statistics } : own;
}

/** Inputs and outputs of the step that keep an average: a ← a + rate (new − a). */
interface Averages {
  readonly inputs: readonly Value[];
  readonly outputs: Readonly<Record<string, Value>>;
}
const noAverages: Averages = { inputs: [], outputs: {} };

/** Moving averages of the weights; the running statistics are averaged like them, as torchvision's training does. */
function averages(next: Readonly<Record<'parameters' | 'statistics', Value>>): Averages {
  const rate = input('averageRate', 'float32', []);
  const before = {
    averageParameters: input('averageParameters', 'float32', next.parameters.type.shape),
    averageStatistics: input('averageStatistics', 'float32', next.statistics.type.shape),
  };
  const moved = (average: Value, value: Value) => add(average, mul(sub(value, average), rate));
  return {
    inputs: [rate, ...Object.values(before)],
    outputs: {
      next_averageParameters: moved(before.averageParameters, next.parameters),
      next_averageStatistics: moved(before.averageStatistics, next.statistics),
    },
  };
}

/** How gradients are computed. */
interface Backward {
  /** What the loss asks of the forward pass besides. */
  readonly asked: readonly Value[];
  /** One gradient for each piece of the parameters. */
  gradients(loss: Value, forward: Lowered, stored: StoredParameters): Value[];
}

/** Every activation is kept until the backward pass needs it. */
function remembering(network: Network, states: readonly State[], { residualPenalty }: StepOptions): Backward {
  const asked = residualPenalty === 0 ? [] : [mul(residualEnergy(network, states), residualPenalty)];
  return {
    asked,
    gradients: (loss, forward, stored) => grad(asked.map(forward.plain).reduce(add, loss), stored.pieces),
  };
}

/** Activations of parts that have an inverse are recomputed. */
function recomputing(network: Network, [start]: readonly State[], { residualPenalty }: StepOptions): Backward {
  const asked: Asked = (part, before) => {
    const branches = residualPenalty === 0 ? [] : (part.residual?.(before) ?? []);
    return branches.length === 0 ? [] : [mul(energy(branches), residualPenalty)];
  };
  const passed = passes(network, start!, asked);
  return {
    asked: passed.flatMap((pass) => pass.asked),
    gradients: (loss, forward, stored) => recomputedGradients(passed, asked, loss, forward, stored),
  };
}

/**
 * What the blocks add to the streams: Σ mean(F(x₂)²) over all blocks, and over each branch of a block that has several.
 * Kept small, Φ stays nearer to a rearrangement of pixels, so that points between features are images too.
 * @throws ConfigError where no block has a residual branch
 */
function residualEnergy({ blocks }: Network, states: readonly State[]): Value {
  const branches = blocks.flatMap((block, i) => block.residual?.(states[i]!) ?? []);
  if (branches.length === 0)
    throw new ConfigError('residualPenalty needs a network with residual branches, and this one has none; set it to 0');
  return energy(branches);
}

const energy = (branches: readonly Value[]): Value =>
  reshape(sumOf(branches.map((f) => reduceMean(square(f), [0, 1, 2, 3], true))), []);

/** Mean cross-entropy against labels smoothed towards the uniform distribution, and the number of correct images. */
function crossEntropy(
  logits: Value,
  labels: Value,
  classes: number,
  smoothing: number,
): Record<'loss' | 'correct', Value> {
  const batch = staticShape(labels.type.shape)[0]!;
  const numbers = constant(
    tensor(
      'int64',
      [1, classes],
      Array.from({ length: classes }, (_, i) => i),
    ),
  );
  const oneHot = cast(equal(reshape(labels, [batch, 1]), numbers), 'float32');
  const targets = add(mul(oneHot, 1 - smoothing), smoothing / classes);
  const loss = neg(reduceMean(reduceSum(mul(targets, logSoftmax(logits, 1)), [1]), [0]));
  const own = reduceSum(mul(oneHot, logits), [1]);
  const wrong = reduceSum(cast(less(own, reduceMax(logits, [1])), 'float32'), [0]);
  return { loss, correct: sub(batch, wrong) };
}

/** SGD with Nesterov momentum, as PyTorch defines it: m ← μ m + g, w ← w − lr (g + μ m), with weight decay in g. */
function nesterov(
  weights: Value,
  momentum: Value,
  gradient: Value,
  learningRate: Value,
  options: StepOptions,
): Record<'parameters' | 'momentum', Value> {
  const g = add(gradient, mul(weights, options.weightDecay));
  const m = add(mul(momentum, options.momentum), g);
  return { parameters: sub(weights, mul(add(g, mul(m, options.momentum)), learningRate)), momentum: m };
}

import t from 'tap';
import { noiseImages } from '../../../export/data/noise.js';
import { seeded } from '../../../export/data/random.js';
import { bytesOf, zeros } from '../../../export/graph/tensor.js';
import { networkParameters } from '../../../export/model/graphs.js';
import { buildNetwork } from '../../../export/networks/index.js';
import { initialise } from '../../../export/train/initialise.js';
import { packed, unpacked } from '../../../export/train/packing.js';
import { trainingStep } from '../../../export/train/step.js';
import { openSteps, type State, type StepFeed } from '../../../export/train/steps.js';
import { miniature } from '../../helpers/networks.js';

const network = buildNetwork({ architecture: 'irevnet', config: { ...miniature.irevnet } });
const batch = 4;
const step = trainingStep(network, {
  batch,
  labelSmoothing: 0.1,
  momentum: 0.9,
  weightDecay: 1e-3,
  residualPenalty: 0.1,
  average: 0.9,
});
const weights = initialise(networkParameters(network), seeded(4));
const parameters = packed(step.state.parameters, weights);
const statistics = packed(step.state.statistics, weights);
const start: State = {
  parameters,
  momentum: zeros(parameters.dims),
  statistics,
  averageParameters: parameters,
  averageStatistics: statistics,
};
const feeds = [1, 2, 3].map((seed): StepFeed => {
  const labels = Uint16Array.from({ length: batch }, (_, i) => (i + seed) % network.classes);
  return {
    images: { ...noiseImages(batch, network.input, seed), labels },
    learningRate: 0.02 * seed,
    averageRate: 0.2,
  };
});

t.test('many steps in one run of the session are the same steps, bit for bit', async (t) => {
  const steps = await openSteps(step, { threads: 1 });
  t.teardown(() => steps.release());
  const together = await steps.take(start, feeds);
  const losses: number[] = [];
  let state = start;
  for (const feed of feeds) {
    const taken = await steps.take(state, [feed]);
    losses.push(...taken.losses);
    state = taken.state;
  }
  t.same(together.losses, losses);
  t.equal(new Set(losses).size, feeds.length, 'every step has a batch and weights of its own');
  t.same(Object.keys(together.state), Object.keys(start));
  for (const [name, { data }] of Object.entries(state)) {
    t.notSame(data, start[name]!.data, `${name} moves`);
    t.ok(Buffer.compare(bytesOf(together.state[name]!), bytesOf(state[name]!)) === 0, `${name} ends alike`);
  }
});

t.test('packed tensors come out as they went in', (t) => {
  const back = unpacked(step.state.parameters, parameters);
  for (const [name, { dims, data }] of back)
    t.same({ dims, data }, { dims: weights.get(name)!.dims, data: weights.get(name)!.data });
  t.equal(parameters.dims[1], 256);
  t.end();
});

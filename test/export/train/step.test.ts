import t from 'tap';
import { noiseImages } from '../../../export/data/noise.js';
import { type Block, buildNetwork, ConfigError, type Network, withGrid } from '../../../export/networks/index.js';
import { trainingStep } from '../../../export/train/step.js';
import { relativeError } from '../../helpers/graph.js';
import { miniature, small, trainSteps } from '../../helpers/networks.js';

const STEPS = 8;

for (const [architecture, config] of Object.entries(miniature)) {
  t.test(`${architecture}: training steps lower the loss, with and without a residual penalty`, async (t) => {
    const network = buildNetwork({ architecture, config: { ...config } });
    const images = labelled(network);
    const train = (residualPenalty: number) =>
      trainSteps(network, images, STEPS, { residualPenalty, learningRate: 0.05 });
    const [free, penalised] = [await train(0), await train(0.1)];
    for (const { losses } of [free, penalised]) t.ok(losses.at(-1)! < losses[0]! - 0.1, 'the loss falls', { losses });
    const untouched = [...free.gradient].filter(([name, g]) => `${g.data}` === `${penalised.gradient.get(name)!.data}`);
    const last = untouched.filter(([name]) => /(conv3|bn3)\.weight$/.test(name));
    t.same(last, [], 'the penalty reaches the last layers of every branch');
  });
}

const deep: Record<string, Network> = {
  'i-RevNet, injective': buildNetwork({ architecture: 'irevnet', config: { ...miniature.irevnet } }),
  'i-RevNet, bijective': buildNetwork(withGrid({ architecture: 'irevnet', config: { ...small } }, null)),
  'RevNet, some of whose blocks have an inverse': buildNetwork({
    architecture: 'revnet',
    config: { ...miniature.revnet },
  }),
};

for (const [name, network] of Object.entries(deep)) {
  t.test(`${name}: recomputed activations give the same gradients`, async (t) => {
    const gradients = (reversible: boolean, residualPenalty: number) =>
      trainSteps(network, labelled(network), 1, { residualPenalty, reversible, learningRate: 0 });
    for (const penalty of [0, 0.2]) {
      const [kept, recomputed] = [await gradients(false, penalty), await gradients(true, penalty)];
      t.ok(Math.abs(kept.losses[0]! - recomputed.losses[0]!) < 1e-6, 'the same loss');
      for (const [parameter, expected] of kept.gradient) {
        const error = relativeError(recomputed.gradient.get(parameter)!, expected);
        t.ok(error < 1e-4, `${parameter}, penalty ${penalty}: ${error}`);
      }
    }
  });
}

t.test('a network without inverses cannot recompute', async (t) => {
  const network = buildNetwork({ architecture: 'resnet', config: { ...miniature.resnet } });
  const options = { batch: 2, labelSmoothing: 0, momentum: 0.9, weightDecay: 0, residualPenalty: 0, reversible: true };
  t.throws(
    () => trainingStep(network, options),
    new ConfigError('reversible needs blocks that have an inverse, and this network has none; set it to false'),
  );
});

/** Random images with random labels. */
function labelled(network: Network) {
  const images = noiseImages(16, network.input, 2);
  return { ...images, labels: Uint16Array.from({ length: images.count }, (_, i) => (i * 7) % network.classes) };
}

t.test('a residual penalty needs residual branches', async (t) => {
  const network = buildNetwork({ architecture: 'resnet', config: { ...miniature.resnet } });
  const blocks = network.blocks.map(({ residual, ...block }): Block => block);
  const options = { batch: 2, labelSmoothing: 0, momentum: 0.9, weightDecay: 0 };
  t.throws(
    () => trainingStep({ ...network, blocks }, { ...options, residualPenalty: 0.1 }),
    new ConfigError('residualPenalty needs a network with residual branches, and this one has none; set it to 0'),
  );
  t.doesNotThrow(() => trainingStep({ ...network, blocks }, { ...options, residualPenalty: 0 }));
});

import t from 'tap';
import { configurations } from '../../export/architectures/configurations.js';
import { buildNetwork, ConfigError } from '../../export/architectures/index.js';
import { irevnet } from '../../export/architectures/irevnet.js';
import { countTrained, networkParameters } from '../../export/model/graphs.js';
import { measure } from '../../export/model/measure.js';
import { noiseImages } from '../../export/model/noise.js';
import { buildGraphs, closeGraphs } from '../../export/model/open.js';
import { seeded } from '../../export/random.js';
import { randomParameters } from '../helpers/graph.js';
import { dataPath, small, variants } from '../helpers/networks.js';
import { compareWithRelease } from '../helpers/release.js';

for (const [name, config] of Object.entries(variants)) {
  t.test(`${name}: Φ⁻¹(Φ(x)) is x`, async (t) => {
    for (const grid of [12, null]) {
      const network = irevnet({ ...config, grid });
      const weights = randomParameters(networkParameters(network), seeded(5));
      const graphs = await buildGraphs(network, weights, 1);
      const images = noiseImages(11, network.input, 2);
      const { inversion } = await measure(graphs, images, { encode: 11, decode: 3 });
      await closeGraphs(graphs);
      t.equal(inversion.exactPixels, images.count, 'every pixel');
      if (grid === null) t.ok(inversion.relativeErrorMax < 1e-5, 'plain floats: within float32', inversion);
      else t.equal(inversion.exactFloat, images.count, 'on the grid: every bit');
    }
  });
}

t.test('features and logits are those of the authors’ released code', async (t) => {
  const error = await compareWithRelease(dataPath('release-bijective.safetensors'), {
    input: { height: 32, width: 32, channels: 3, padding: 0, mean: [0, 0, 0], std: [1, 1, 1] },
    classes: 10,
    initialPsi: 2,
    blocks: [1, 2],
    strides: [2, 2],
    widths: [24, 96],
    hidden: [6, 24],
    kernels: [3, 3, 3],
    injective: false,
    grid: null,
  });
  t.ok(error.features < 1e-6, 'features', error);
  t.ok(error.logits < 1e-5, 'logits', error);
  t.ok(error.inversion < 1e-6, 'inversion', error);
});

t.test('parameters are counted as the released code counts them', async (t) => {
  t.equal(countTrained(irevnet(configurations['fashion-mnist']!.config)), 4_350_918);
  const release = {
    ...small,
    input: { height: 32, width: 32, channels: 3, padding: 0, mean: [0, 0, 0], std: [1, 1, 1] },
  } as const;
  const zip = { ...release, blocks: [1, 2], strides: [2, 2], widths: [24, 96], hidden: [6, 24] } as const;
  t.equal(countTrained(buildNetwork('irevnet', zip)), 82_474);
});

const broken: Record<string, [config: unknown, message: RegExp]> = {
  'a width that stride 2 does not allow': [
    { ...small, widths: [2, 9, 32, 128] },
    /stage 2 receives 4 channels, so with stride 2 its half-width must be 8, got 9/,
  ],
  'a wider stage without padding': [
    { ...small, widths: [3, 12, 48, 192] },
    /half-width must be 2, or more with "injective": true, got 3/,
  ],
  'a size that ψ does not divide': [
    { ...small, input: { ...small.input, padding: 1 } },
    /30 pixels .* not a multiple of 16/,
  ],
  'lists of different lengths': [{ ...small, hidden: [4] }, /hidden: 4 stages need as many entries, got 1/],
  'means of another number of channels': [
    { ...small, input: { ...small.input, mean: [0, 0, 0] } },
    /input\.mean: one number a channel/,
  ],
  'a missing field': [{ ...small, blocks: undefined }, /blocks/],
  'a wrong type': [{ ...small, grid: 'fine' }, /grid/],
};

t.test('a configuration that cannot be built says why', async (t) => {
  for (const [name, [config, message]] of Object.entries(broken)) {
    t.throws(() => buildNetwork('irevnet', config), { name: 'ConfigError', message }, name);
  }
  t.throws(() => buildNetwork('vgg', small), new ConfigError('unknown architecture vgg; there are: irevnet'));
});

import t from 'tap';
import { noiseImages } from '../../../export/data/noise.js';
import { seeded } from '../../../export/data/random.js';
import { inMemory } from '../../../export/data/source.js';
import { networkParameters } from '../../../export/model/graphs.js';
import { measure } from '../../../export/model/measure.js';
import { buildGraphs, closeGraphs } from '../../../export/model/open.js';
import { buildNetwork, ConfigError, type Specification, withGrid } from '../../../export/networks/index.js';
import { irevnet } from '../../../export/networks/irevnet.js';
import { randomParameters } from '../../helpers/graph.js';
import { small, variants } from '../../helpers/networks.js';

for (const [name, config] of Object.entries(variants)) {
  t.test(`${name}: Φ⁻¹(Φ(x)) is x`, async (t) => {
    for (const grid of [12, null]) {
      const network = irevnet({ ...config, grid });
      const weights = randomParameters(networkParameters(network), seeded(5));
      const graphs = await buildGraphs(network, weights, 1);
      const images = noiseImages(11, network.input, 2);
      const inversion = (await measure(graphs, inMemory(images), { encode: 11, decode: 3 })).inversion!;
      await closeGraphs(graphs);
      t.equal(inversion.exactPixels, images.count, 'every pixel');
      if (grid === null) t.ok(inversion.relativeErrorMax < 1e-5, 'plain floats: within float32', inversion);
      else t.equal(inversion.exactFloat, images.count, 'on the grid: every bit');
    }
  });
}

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
  'a field that there is not': [
    { ...small, kernel: [3, 3, 3] },
    /config has no field kernel; its fields are input, classes, /,
  ],
};

t.test('a configuration that cannot be built says why', async (t) => {
  for (const [name, [config, message]] of Object.entries(broken)) {
    t.throws(
      () => buildNetwork({ architecture: 'irevnet', config: config as object as Specification['config'] }),
      { name: 'ConfigError', message },
      name,
    );
  }
  const vgg = { architecture: 'vgg', config: small };
  t.throws(() => buildNetwork(vgg), new ConfigError('unknown architecture vgg; there are: irevnet, revnet, resnet'));
  t.throws(() => withGrid({ architecture: 'resnet', config: {} }, 12), /has no grid/);
});

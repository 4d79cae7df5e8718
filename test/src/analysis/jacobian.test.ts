import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { input } from '../../../export/graph/graph.js';
import { type Tensor, tensor } from '../../../export/graph/tensor.js';
import { networkParameters } from '../../../export/model/graphs.js';
import { encode } from '../../../export/networks/index.js';
import { type IRevNetConfig, irevnet } from '../../../export/networks/irevnet.js';
import {
  canvasShape,
  centreWindow,
  type Differentiable,
  exactSpectra,
  flatState,
  leadingInverseSingularValues,
  leadingSingularValues,
  singularValues,
} from '../../../src/analysis/jacobian.js';
import { noise, randomParameters, sessionOf } from '../../helpers/graph.js';
import { small, variants } from '../../helpers/networks.js';

/** 8 × 8 pixels in grey, two stages: 64 inputs and as many features. */
const tiny: IRevNetConfig = {
  ...small,
  input: { ...small.input, height: 6, width: 6, padding: 1 },
  blocks: [1, 2],
  strides: [1, 2],
  widths: [2, 8],
  hidden: [8, 8],
  grid: null,
};

const differentiable = (config: IRevNetConfig): Differentiable => {
  const network = irevnet({ ...config, grid: null });
  return {
    network,
    weights: randomParameters(networkParameters(network), seeded(5)),
    threads: 1,
    signal: new AbortController().signal,
  };
};
const canvases = ({ network }: Differentiable, count: number) =>
  noise([count, ...canvasShape(network)], seeded(8)) as Tensor<'float32'>;

/** ∂Φ by central differences, transposed: [inputs, features]. */
async function differences({ network, weights }: Differentiable, { data, dims }: Tensor<'float32'>) {
  const x = input('x', 'float32', ['N', ...canvasShape(network)]);
  const session = await sessionOf(
    { name: 'Φ', inputs: [x], outputs: { z: flatState(encode(network, x).states.at(-1)!, 'N') } },
    weights,
  );
  const delta = 2e-3;
  const columns: number[][] = [];
  for (let i = 0; i < data.length; i++) {
    const pair = new Float32Array(2 * data.length);
    for (const [k, sign] of [1, -1].entries()) {
      pair.set(data, k * data.length);
      pair[k * data.length + i]! += sign * delta;
    }
    const { z } = await session.run({ x: tensor('float32', [2, ...dims.slice(1)], pair) });
    const size = z!.data.length / 2;
    columns.push(
      Array.from({ length: size }, (_, j) => (Number(z!.data[j]) - Number(z!.data[size + j])) / (2 * delta)),
    );
  }
  await session.release();
  return tensor('float32', [columns.length, columns[0]!.length], columns.flat());
}

for (const [name, config] of Object.entries({ bijective: tiny, injective: variants['injective, no initial ψ']! })) {
  t.test(`${name}: the spectrum is that of a Jacobian by finite differences`, async (t) => {
    const subject = differentiable(config);
    const x = canvases(subject, 1);
    const everything = centreWindow(subject.network, null);
    const [spectrum] = await exactSpectra(subject, x, [subject.network.blocks.length], everything);
    const expected = await singularValues(subject, await differences(subject, x));
    t.equal(spectrum!.length, x.data.length);
    const worst = Math.max(...spectrum!.map((value, i) => Math.abs(value - expected[i]!)));
    t.ok(worst < 1e-3 * spectrum![0]!, `${worst} of ${spectrum![0]}`);
  });
}

t.test('|det ∂Φ| is 1 after every block of a bijective network', async (t) => {
  const subject = differentiable(tiny);
  const depths = [0, 1, 2, 3];
  const spectra = await exactSpectra(subject, canvases(subject, 1), depths, centreWindow(subject.network, null));
  for (const [depth, spectrum] of spectra.entries()) {
    const sum = spectrum.reduce((total, value) => total + Math.log(value), 0);
    t.ok(Math.abs(sum) < 1e-3, `depth ${depth}: the logarithms sum to ${sum}`);
  }
  t.ok(
    spectra[0]!.every((value) => Math.abs(value - 1) < 1e-6),
    'ψ alone moves pixels, and changes no length',
  );
  t.ok(spectra[3]![0]! > 1.1, 'the blocks do change lengths');
});

t.test('Lanczos finds the ends of the exact spectrum, of several images at once', async (t) => {
  const subject = differentiable(small);
  const x = canvases(subject, 2);
  const { network } = subject;
  const everything = centreWindow(network, null);
  const options = { wanted: 3, steps: 80, tolerance: 1e-4, seed: 1 };
  const last = network.blocks.length;
  const leading = await leadingSingularValues(subject, x, last, everything, options);
  const input_ = input('x', 'float32', ['N', ...canvasShape(network)]);
  const session = await sessionOf(
    { name: 'Φ', inputs: [input_], outputs: { z: encode(network, input_).features } },
    subject.weights,
  );
  const { z } = await session.run({ x });
  await session.release();
  const trailing = await leadingInverseSingularValues(subject, z as Tensor<'float32'>, everything, options);
  for (let i = 0; i < 2; i++) {
    const size = x.data.length / 2;
    const one = tensor('float32', [1, ...x.dims.slice(1)], x.data.subarray(i * size, (i + 1) * size));
    const [spectrum] = await exactSpectra(subject, one, [last], everything);
    for (let k = 0; k < 3; k++) {
      const [found, exact] = [leading[i]!.values[k]!, spectrum![k]!];
      t.ok(Math.abs(found / exact - 1) < 1e-3, `leading ${found}, exact ${exact}`);
      const [foundLast, exactLast] = [1 / trailing[i]!.values[k]!, spectrum!.at(-1 - k)!];
      t.ok(Math.abs(foundLast / exactLast - 1) < 1e-3, `trailing ${foundLast}, exact ${exactLast}`);
    }
  }
});

t.test('on a window, only its pixels vary', async (t) => {
  const subject = differentiable(tiny);
  const x = canvases(subject, 1);
  const window = centreWindow(subject.network, 4);
  t.same(Array.from(window.elements), [18, 19, 20, 21, 26, 27, 28, 29, 34, 35, 36, 37, 42, 43, 44, 45]);
  const [spectrum] = await exactSpectra(subject, x, [3], window);
  const jacobian = await differences(subject, x);
  const inside = Array.from(window.elements, (i) => Array.from(jacobian.data.subarray(i * 64, (i + 1) * 64)));
  const expected = await singularValues(subject, tensor('float32', [16, 64], inside.flat()));
  t.ok(Math.max(...spectrum!.map((value, i) => Math.abs(value - expected[i]!))) < 1e-3 * expected[0]!);
  const [leading] = await leadingSingularValues(subject, x, 3, window, {
    wanted: 2,
    steps: 16,
    tolerance: 1e-6,
    seed: 1,
  });
  t.ok(Math.abs(leading!.values[0]! / spectrum![0]! - 1) < 1e-3);
  t.ok(Math.abs(leading!.smallest / spectrum!.at(-1)! - 1) < 1e-3, 'after as many steps as inputs, the smallest too');
});

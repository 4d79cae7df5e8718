import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { constant, type Value } from '../../../export/graph/graph.js';
import { conv } from '../../../export/graph/ops/conv.js';
import { relu } from '../../../export/graph/ops/elementwise.js';
import { type Tensor, tensor } from '../../../export/graph/tensor.js';
import { coupling } from '../../../export/networks/layers/coupling.js';
import { compose, type Invertible, opposite, type Pair } from '../../../export/networks/layers/invertible.js';
import { pixels } from '../../../export/networks/layers/pixels.js';
import { psi } from '../../../export/networks/layers/psi.js';
import { halves, injectivePadding } from '../../../export/networks/layers/split.js';
import { evaluate, inputLike, noise, relativeError } from '../../helpers/graph.js';

const random = seeded(3);

/** A layer of two streams seen as one of a single value, so that every layer is checked in the same way. */
const onPairs = (from: number, layer: Invertible<Pair>, to = from): Invertible<Value> =>
  compose(compose(halves(from), layer), opposite(halves(to)));

/** A convolution that keeps the size or halves it, as F does. */
const f = (from: number, to: number, stride: number) => {
  const w = constant(noise([to, from, 3, 3], random));
  return (x: Value) => conv(relu(x), w, { stride, padding: 1 });
};

/** Layers with the channels that they take. */
const layers: Record<string, [channels: number, layer: Invertible<Value>, exact: boolean]> = {
  'ψ 2': [8, psi(2), true],
  'ψ 4': [8, psi(4), true],
  'ψ 1': [8, psi(1), true],
  'coupling, plain floats': [8, onPairs(8, coupling(f(4, 4, 1), psi(1), null)), false],
  'coupling on a grid': [8, onPairs(8, coupling(f(4, 4, 1), psi(1), 12)), true],
  'coupling of stride 2 on a grid': [8, onPairs(8, coupling(f(4, 16, 2), psi(2), 12), 32), true],
  'injective padding': [6, onPairs(6, injectivePadding(4), 10), true],
  'injective padding of an odd number of channels': [3, onPairs(3, injectivePadding(5), 8), true],
  'ψ twice': [8, compose(psi(2), psi(2)), true],
};

for (const [name, [channels, layer, exact]] of Object.entries(layers)) {
  t.test(`${name}: the inverse gives back the input`, async (t) => {
    // On the grid of 2^-12, as streams are
    const drawn = noise([3, channels, 8, 8], random);
    const data = tensor(
      'float32',
      drawn.dims,
      drawn.data.map((v) => Math.round(v * 4096) / 4096),
    );
    const x = inputLike('x', data);
    const y = layer.forward(x);
    const outputs = await evaluate({ name, inputs: [x], outputs: { y, back: layer.inverse(y) } }, { x: data });
    t.same(outputs.back!.dims, data.dims);
    if (exact) t.same(outputs.back!.data, data.data, 'in every bit');
    else t.ok(relativeError(outputs.back!, data) < 1e-6, 'within float32');
    if (name !== 'ψ 1') t.notSame(outputs.y!.data, data.data, 'the layer does something');
  });
}

t.test('ψ orders channels by row, column, channel', async (t) => {
  const data = tensor('float32', [1, 2, 2, 2], [0, 1, 2, 3, 10, 11, 12, 13]);
  const x = inputLike('x', data);
  const { y } = await evaluate({ name: 'psi', inputs: [x], outputs: { y: psi(2).forward(x) } }, { x: data });
  t.same([...y!.data], [0, 10, 1, 11, 2, 12, 3, 13]);
});

t.test('every grey level comes back from its place on the grid', async (t) => {
  const data: Tensor<'uint8'> = tensor(
    'uint8',
    [1, 16, 16, 1],
    Array.from({ length: 256 }, (_, i) => i),
  );
  const spec = { height: 16, width: 16, channels: 1, padding: 3, mean: [0.286], std: [0.353] };
  for (const grid of [10, 12, 14, null]) {
    const layer = pixels(spec, grid);
    const x = inputLike('x', data);
    const canvas = layer.forward(x);
    const { y, back } = await evaluate(
      { name: 'pixels', inputs: [x], outputs: { y: canvas, back: layer.inverse(canvas) } },
      { x: data },
    );
    t.same(back!.data, data.data, `grid ${grid}`);
    t.same(y!.dims, [1, 1, 22, 22], 'padded');
    const values = y!.data as Float32Array;
    if (grid !== null)
      t.ok(
        values.every((v) => Number.isInteger(v * 2 ** grid)),
        'on the grid',
      );
    t.equal(values[0], values[3 * 22 + 3], 'the border is black, as the first pixel is');
  }
});

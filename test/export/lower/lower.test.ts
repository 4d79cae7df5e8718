import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { grad, vjp } from '../../../export/graph/grad.js';
import { constant, input, parametersOf, type Value } from '../../../export/graph/graph.js';
import { conv } from '../../../export/graph/ops/conv.js';
import { square } from '../../../export/graph/ops/elementwise.js';
import { spaceToDepth, transpose } from '../../../export/graph/ops/movement.js';
import { reduceMean } from '../../../export/graph/ops/reduce.js';
import { staticShape } from '../../../export/graph/shape.js';
import { tensor } from '../../../export/graph/tensor.js';
import { batchInnermost } from '../../../export/lower/batch-innermost.js';
import { byBatch, withBatchStatistics } from '../../../export/lower/batch-statistics.js';
import { networkParameters } from '../../../export/model/graphs.js';
import { irevnet } from '../../../export/networks/irevnet.js';
import { encode } from '../../../export/networks/network.js';
import { initialise } from '../../../export/train/initialise.js';
import { evaluate, inputLike, noise, relativeError, sessionOf } from '../../helpers/graph.js';
import { small } from '../../helpers/networks.js';

/** [channels in, out, height, width, kernel, stride, padding]: every way in which a convolution becomes products. */
const convolutions: Record<string, readonly [number, number, number, number, number, number, number]> = {
  'pointwise product': [9, 5, 6, 6, 1, 1, 0],
  'unfolded, thin input': [2, 12, 6, 5, 3, 1, 1],
  'unfolded, stride 2': [12, 10, 8, 8, 3, 2, 1],
  'unfolded, pointwise with stride 2': [12, 10, 8, 8, 1, 2, 0],
  'unfolded, no padding': [12, 10, 7, 7, 3, 1, 0],
  'unfolded, kernel 5': [12, 10, 8, 8, 5, 1, 2],
  'folded, thin output': [12, 3, 6, 5, 3, 1, 1],
  'Winograd, pair of pixels': [12, 10, 2, 2, 3, 1, 1],
  'Winograd, one tile': [12, 10, 4, 4, 3, 1, 1],
  'Winograd, 2 × 2 tiles': [12, 10, 8, 8, 3, 1, 1],
  'Winograd, 4 × 4 tiles': [9, 10, 16, 16, 3, 1, 1],
};

const asTransposition = (w: Value, perm: readonly number[]) => transpose(w, perm);

for (const [name, [from, to, h, w, kernel, stride, padding]] of Object.entries(convolutions)) {
  t.test(`convolution as products: ${name}`, async (t) => {
    const random = seeded(11);
    const data = { x: noise([3, from, h, w], random), w: noise([to, from, kernel, kernel], random) };
    const inputs = Object.entries(data).map(([name, value]) => inputLike(name, value)) as [Value, Value];
    const direct = conv(inputs[0], inputs[1], { stride, padding });
    const products = batchInnermost([direct], asTransposition).plain(direct);
    const cotangent = constant(noise(staticShape(direct.type.shape), random));
    const [dx, dw] = vjp([direct], [cotangent], inputs);
    const [dxProducts, dwProducts] = vjp([products], [cotangent], inputs);
    const outputs = { direct, products, dx: dx!, dw: dw!, dxProducts: dxProducts!, dwProducts: dwProducts! };
    const got = await evaluate({ name: 'conv', inputs, outputs }, data);
    t.ok(relativeError(got.products!, got.direct!) < 1e-5, 'the same output');
    t.ok(relativeError(got.dxProducts!, got.dx!) < 1e-5, 'the same input gradient');
    t.ok(relativeError(got.dwProducts!, got.dw!) < 1e-5, 'the same weight gradient');
  });
}

t.test('ψ, split and merge in the layout with the batch innermost', async (t) => {
  const x = input('x', 'float32', [2, 3, 8, 4]);
  const y = spaceToDepth(spaceToDepth(x, 2), 2);
  const moved = batchInnermost([y], asTransposition).plain(y);
  const data = noise([2, 3, 8, 4], seeded(2));
  const got = await evaluate({ name: 'psi', inputs: [x], outputs: { y, moved } }, { x: data });
  t.same(got.moved!.data, got.y!.data);
});

t.test('batch statistics of an input whose mean is large', async (t) => {
  // Deviations of ±1/2 around 4096: x² needs 25 bits, one more than float32 has
  const data = tensor('float32', [2, 1, 2, 2], [4096.5, 4095.5, 4096.5, 4095.5, 4096.5, 4095.5, 4095.5, 4096.5]);
  const x = inputLike('x', data);
  const one = constant(tensor('float32', [1], [1]));
  const zero = constant(tensor('float32', [1], [0]));
  const outputs = { ...byBatch(x, one, zero, 1e-5) };
  const got = await evaluate({ name: 'statistics', inputs: [x], outputs }, { x: data });
  t.same([...got.mean!.data], [4096]);
  t.ok(Math.abs(Number(got.variance!.data[0]) - 0.25 * (8 / 7)) < 1e-6, 'unbiased variance');
  t.ok(
    [...got.y!.data].every((y) => Math.abs(Math.abs(Number(y)) - 1) < 1e-4),
    'normalised to ±1',
  );
});

t.test('gradients of a network do not depend on the layout', async (t) => {
  const network = irevnet({ ...small, grid: null });
  const x = input('x', 'float32', [8, 1, 32, 32]);
  const { logits } = encode(network, x);
  const written = withBatchStatistics([logits]).renamed(logits);
  const moved = batchInnermost([written], asTransposition).plain(written);
  const parameters = parametersOf([written]);
  const gradients = (prefix: string, scores: Value) =>
    grad(reduceMean(square(scores), [0, 1]), parameters).map(
      (g, i) => [prefix + parameters[i]!.source.name, g] as const,
    );
  const outputs = {
    written,
    moved,
    ...Object.fromEntries([...gradients('written ', written), ...gradients('moved ', moved)]),
  };
  const weights = initialise(networkParameters(network), seeded(4));
  const session = await sessionOf({ name: 'gradients', inputs: [x], outputs }, weights);
  const got = await session.run({ x: noise([8, 1, 32, 32], seeded(5)) });
  await session.release();
  t.ok(relativeError(got.moved!, got.written!) < 1e-5, 'the same scores');
  for (const { source } of parameters) {
    // A ReLU whose input is within rounding of zero may fall on either side
    t.ok(
      relativeError(got[`moved ${source.name}`]!, got[`written ${source.name}`]!) < 1e-3,
      `the same gradient of ${source.name}`,
    );
  }
});

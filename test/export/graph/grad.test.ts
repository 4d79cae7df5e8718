import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { grad, jvp } from '../../../export/graph/grad.js';
import { constant, GraphError, input, nodeOf, scalar } from '../../../export/graph/graph.js';
import { broadcasting, expand, reduceSum } from '../../../export/graph/ops/broadcast.js';
import { add, cast, mul, relu, square } from '../../../export/graph/ops/elementwise.js';
import { reduceMean } from '../../../export/graph/ops/reduce.js';
import { tensor } from '../../../export/graph/tensor.js';
import { derivativeErrors } from '../../helpers/grad.js';
import { evaluate, noise } from '../../helpers/graph.js';

t.test('a value that is used several times gathers its gradients', async (t) => {
  const x = input('x', 'float32', [3]);
  const loss = reduceSum(add(mul(x, x), add(x, mul(square(x), 2))), [0]);
  const [g] = grad(loss, [x]);
  const got = await evaluate(
    { name: 'g', inputs: [x], outputs: { g: g! } },
    { x: tensor('float32', [3], [1, -2, 0.5]) },
  );
  t.same(
    [...got.g!.data],
    [1, -2, 0.5].map((v) => 6 * v + 1),
  );
});

t.test('what the loss does not depend on has a gradient of zero', async (t) => {
  const [x, y] = [input('x', 'float32', [2]), input('y', 'float32', [2])];
  const [g] = grad(reduceSum(x, [0]), [y]);
  const got = await evaluate({ name: 'g', inputs: [], outputs: { g: g! } }, {});
  t.same([...got.g!.data], [0, 0]);
});

t.test('tangents add up where a variable acts through another', async (t) => {
  const x = input('x', 'float32', [2]);
  const y = square(x);
  const z = mul(x, y);
  const [dx, dy] = [constant(tensor('float32', [2], [1, 1])), constant(tensor('float32', [2], [10, 10]))];
  const [moved, none] = jvp([z, input('other', 'float32', [2])], [x, y], [dx, dy]);
  const got = await evaluate(
    { name: 'jvp', inputs: [x], outputs: { moved: moved!, none: none! } },
    { x: tensor('float32', [2], [1, 2]) },
  );
  t.same([...got.moved!.data], [13, 32], 'd x³ = 3x² dx, and x dy on top');
  t.same([...got.none!.data], [0, 0], 'an output that depends on no variable does not move');
});

t.test('an op without a gradient is refused on the way, and only there', async (t) => {
  const x = input('x', 'float32', [2]);
  const y = input('y', 'float32', [2]);
  const through = reduceSum(cast(x, 'float32'), [0]);
  t.throws(
    () => grad(through, [x]),
    new GraphError('cast has no gradient, but the loss depends on a variable through it'),
  );
  t.throws(
    () => jvp([through], [x], [x]),
    new GraphError('cast has no derivative, but an output depends on a variable through it'),
  );
  t.doesNotThrow(() => grad(reduceSum(mul(cast(x, 'float32'), y), [0]), [y]));
  t.throws(() => grad(x, [x]), /a loss is a scalar/);
});

t.test('an expansion is delayed past arithmetic, and changes nothing', async (t) => {
  const random = seeded(1);
  const data = [noise([2, 3], random), noise([1, 3], random)];
  const full = add(mul(expand(scalar(2), [2, 3]), input('x', 'float32', [2, 3])), 1);
  t.notOk(full.source.kind === 'node' && full.source.node.inputs.some((v) => nodeOf(v, broadcasting.expand)));
  const errors = await derivativeErrors(
    ([x, y]) => [mul(relu(add(expand(y!, [2, 3]), 2)), add(x!, expand(reduceMean(x!, [0], true), [2, 3])))],
    data,
    random,
  );
  t.ok(errors.vjp < 2e-3 && errors.jvp < 2e-3 && errors.adjoint < 1e-4, 'derivatives through expansions', errors);
});

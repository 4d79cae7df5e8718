import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { grad } from '../../../export/graph/grad.js';
import { GraphError, input, scalar } from '../../../export/graph/graph.js';
import { add, cast, mul, relu, square } from '../../../export/graph/ops/elementwise.js';
import { expand } from '../../../export/graph/ops/movement.js';
import { reduceMean, reduceSum } from '../../../export/graph/ops/reduce.js';
import { tensor } from '../../../export/graph/tensor.js';
import { gradientError } from '../../helpers/grad.js';
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

t.test('an op without a gradient is refused on the way, and only there', async (t) => {
  const x = input('x', 'float32', [2]);
  const y = input('y', 'float32', [2]);
  const through = reduceSum(cast(x, 'float32'), [0]);
  t.throws(
    () => grad(through, [x]),
    new GraphError('cast has no gradient, but the loss depends on a variable through it'),
  );
  t.doesNotThrow(() => grad(reduceSum(mul(cast(x, 'float32'), y), [0]), [y]));
  t.throws(() => grad(x, [x]), /a loss is a scalar/);
});

t.test('an expansion is delayed past arithmetic, and changes nothing', async (t) => {
  const random = seeded(1);
  const data = [noise([2, 3], random), noise([1, 3], random)];
  const full = add(mul(expand(scalar(2), [2, 3]), input('x', 'float32', [2, 3])), 1);
  t.notOk(
    full.source.kind === 'node' &&
      full.source.node.inputs.some((v) => v.source.kind === 'node' && v.source.node.op === 'expand'),
  );
  const error = await gradientError(
    ([x, y]) => [mul(relu(add(expand(y!, [2, 3]), 2)), add(x!, expand(reduceMean(x!, [0], true), [2, 3])))],
    data,
    random,
  );
  t.ok(error < 2e-3, 'gradient through expansions', { error });
});

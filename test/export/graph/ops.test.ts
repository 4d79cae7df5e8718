import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { jvp, vjp } from '../../../export/graph/grad.js';
import { bind, constant, GraphError, type Value } from '../../../export/graph/graph.js';
import type { OpDef } from '../../../export/graph/op.js';
import { ops } from '../../../export/graph/ops/index.js';
import { matmul } from '../../../export/graph/ops/matmul.js';
import { topK } from '../../../export/graph/ops/order.js';
import { maxPool } from '../../../export/graph/ops/pool.js';
import { reduceMax } from '../../../export/graph/ops/reduce.js';
import { type Tensor, tensor } from '../../../export/graph/tensor.js';
import { derivativeErrors } from '../../helpers/grad.js';
import { evaluate, inputLike, noise } from '../../helpers/graph.js';

/** Ops whose rule is not their own derivative, and the function whose derivative the rule documents. */
const straightThrough: Record<string, (inputs: Value[]) => Value[]> = { round: (inputs) => inputs };

/** Ops that cannot be differentiated. */
const notDifferentiable = ['step', 'cast', 'equal', 'less', 'topK'];

/** The checks below go through the registry, so that no op escapes them. */
for (const [name, op] of Object.entries(ops) as [string, OpDef<unknown>][]) {
  t.test(name, async (t) => {
    const random = seeded(7);
    t.equal(op.name, name);
    for (const [number, { inputs: wanted, attrs }] of op.examples.entries()) {
      const data = wanted.map((x): Tensor => ('dims' in x ? x : noise(x as number[], random)));
      const applied = (inputs: Value[]) => bind(op, inputs, attrs);
      const inputs = data.map((x, i) => inputLike(`x${i}`, x));
      const outputs = applied(inputs);
      const named = Object.fromEntries(outputs.map((y, i) => [`y${i}`, y]));
      const reported = await evaluate(
        { name, inputs, outputs: named },
        Object.fromEntries(data.map((x, i) => [`x${i}`, x])),
      );
      for (const [name, y] of Object.entries(named)) {
        t.equal(reported[name]!.type, y.type.dtype, `example ${number}: element type of ${name}`);
        t.same(reported[name]!.dims, y.type.shape, `example ${number}: shape of ${name}`);
      }
      const differentiable = !notDifferentiable.includes(name);
      t.equal(op.vjp !== 'none', differentiable, 'vjp is there for differentiable ops alone');
      t.equal(op.jvp !== 'none', differentiable, 'jvp is there for differentiable ops alone');
      if (!differentiable) continue;
      const errors = await derivativeErrors(applied, data, random, straightThrough[name]);
      t.ok(errors.vjp < 2e-3, `example ${number}: vjp agrees with finite differences`, errors);
      t.ok(errors.jvp < 2e-3, `example ${number}: jvp agrees with finite differences`, errors);
      t.ok(errors.adjoint < 1e-4, `example ${number}: jvp and vjp are adjoint`, errors);
    }
  });
}

t.test('elements that tie for a maximum share the gradient equally', async (t) => {
  const data = tensor('float32', [1, 1, 2, 4], [3, 3, 0, 0, 3, 1, 0, 0]);
  const tangent = constant(tensor('float32', [1, 1, 2, 4], [1, 2, 3, 4, 5, 6, 7, 8]));
  const x = inputLike('x', data);
  const two = constant(tensor('float32', [1, 1, 1, 2], [6, 8]));
  const y = maxPool(x, { kernel: 2, stride: 2, padding: 0 });
  const row = reduceMax(x, [2, 3], false);
  const graph = {
    pool: vjp([y], [two], [x])[0]!,
    poolForwards: jvp([y], [x], [tangent])[0]!,
    row: vjp([row], [constant(tensor('float32', [1, 1], [6]))], [x])[0]!,
    rowForwards: jvp([row], [x], [tangent])[0]!,
  };
  const got = await evaluate({ name: 'ties', inputs: [x], outputs: graph }, { x: data });
  const [third, rounded] = [1 / 3, (v: Tensor) => [...v.data].map((e) => Math.round(Number(e) * 1e5) / 1e5)];
  t.same(rounded(got.pool!), [2, 2, 2, 2, 2, 0, 2, 2]);
  t.same(rounded(got.poolForwards!), [Math.round(third * 8 * 1e5) / 1e5, 5.5]);
  t.same(rounded(got.row!), [2, 2, 0, 0, 2, 0, 0, 0]);
  t.same(rounded(got.rowForwards!), [Math.round(third * 8 * 1e5) / 1e5]);
});

t.test('topK gives the largest or smallest elements in order; of equal ones the first', async (t) => {
  const data = tensor('float32', [2, 4], [3, 1, 3, 2, 0, -1, -1, 5]);
  const x = inputLike('x', data);
  const [values, places] = topK(x, 2, 1);
  const [least, where] = topK(x, 2, 1, false);
  const got = await evaluate({ name: 'top', inputs: [x], outputs: { values, places, least, where } }, { x: data });
  t.same([...got.values!.data], [3, 3, 5, 0]);
  t.same([...got.places!.data].map(Number), [0, 2, 3, 0]);
  t.same([...got.least!.data], [1, 2, -1, -1]);
  t.same([...got.where!.data].map(Number), [1, 3, 1, 2]);
  t.throws(() => topK(x, 5, 1), /k is 5, but the axis has 4 elements/);
});

t.test('an error names the op, its inputs and their shapes', async (t) => {
  const x = inputLike('x', noise([2, 3], seeded(1)));
  const y = inputLike('y', noise([4, 2], seeded(1)));
  t.throws(
    () => matmul(x, y),
    new GraphError(
      'matmul(float32[2, 3], float32[4, 2]) with {"transA":false,"transB":false}: inner dimensions differ: 3 and 4',
    ),
  );
});

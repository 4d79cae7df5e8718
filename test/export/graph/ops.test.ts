import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { bind, definition, GraphError, type Value } from '../../../export/graph/graph.js';
import { type OpName, ops } from '../../../export/graph/ops/index.js';
import type { Tensor } from '../../../export/graph/tensor.js';
import { gradientError } from '../../helpers/grad.js';
import { evaluate, inputLike, noise } from '../../helpers/graph.js';

/** The checks below iterate the registry, so that no op escapes them. */
for (const op of Object.keys(ops()) as OpName[]) {
  t.test(op, async (t) => {
    const random = seeded(7);
    const { examples, vjp } = definition(op);
    for (const [number, { inputs: wanted, attrs }] of examples.entries()) {
      const data = wanted.map((x): Tensor => ('dims' in x ? x : noise(x, random)));
      const applied = (inputs: Value[]) => bind(op, inputs, attrs as never);
      const inputs = data.map((x, i) => inputLike(`x${i}`, x));
      const outputs = applied(inputs);
      const named = Object.fromEntries(outputs.map((y, i) => [`y${i}`, y]));
      const reported = await evaluate(
        { name: op, inputs, outputs: named },
        Object.fromEntries(data.map((x, i) => [`x${i}`, x])),
      );
      for (const [name, y] of Object.entries(named)) {
        t.equal(reported[name]!.type, y.type.dtype, `example ${number}: element type of ${name}`);
        t.same(reported[name]!.dims, y.type.shape, `example ${number}: shape of ${name}`);
      }
      if (vjp === 'none') continue;
      const error = await gradientError(applied, data, random);
      t.ok(error < 2e-3, `example ${number}: gradient agrees with finite differences`, { error });
    }
  });
}

t.test('an error names the op, its inputs and their shapes', async (t) => {
  const x = inputLike('x', noise([2, 3], seeded(1)));
  const y = inputLike('y', noise([4, 2], seeded(1)));
  t.throws(
    () => bind('matmul', [x, y], { transA: false, transB: false }),
    new GraphError(
      'matmul(float32[2, 3], float32[4, 2]) with {"transA":false,"transB":false}: inner dimensions differ: 3 and 4',
    ),
  );
});

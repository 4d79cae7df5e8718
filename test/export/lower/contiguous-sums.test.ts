import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { topological, type Value } from '../../../export/graph/graph.js';
import { reduceSum } from '../../../export/graph/ops/broadcast.js';
import { reduceMean } from '../../../export/graph/ops/reduce.js';
import { contiguousSums } from '../../../export/lower/contiguous-sums.js';
import { evaluate, inputLike, noise, relativeError } from '../../helpers/graph.js';

const x = noise([3, 4, 5, 6], seeded(1));
const leaf = inputLike('x', x);
const cases: Record<string, { of: Value; sums: number }> = {
  'a sum of axes apart': { of: reduceSum(leaf, [0, 2]), sums: 2 },
  'a mean of axes apart, kept, out of order': { of: reduceMean(leaf, [3, 0, 1], true), sums: 2 },
  'a sum of the last axis': { of: reduceSum(leaf, [-1], true), sums: 1 },
  'a mean of all axes': { of: reduceMean(leaf, [0, 1, 2, 3]), sums: 1 },
};

for (const [name, { of, sums }] of Object.entries(cases)) {
  t.test(`${name} is the same by sums over neighbouring axes`, async (t) => {
    const renamed = contiguousSums([of])(of);
    const ops = topological([renamed]).map(({ op }) => op.name);
    t.equal(ops.filter((op) => op === 'reduceSum').length, sums, 'so many sums');
    t.notOk(ops.includes('reduceMean'), 'a mean is a sum and a product');
    const { expected, got } = await evaluate(
      { name: 'sums', inputs: [leaf], outputs: { expected: of, got: renamed } },
      { x },
    );
    t.same(got!.dims, expected!.dims);
    t.ok(relativeError(got!, expected!) < 1e-6);
  });
}

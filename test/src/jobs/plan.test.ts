import t from 'tap';
import { partSize, partsOf, shardParts } from '../../../src/jobs/plan.js';

type Plan = Parameters<typeof partsOf>[0];
const planOf = (inputs: number, part: number) => ({ inputs, part }) as Plan;

t.test(
  'parts are cut on one grid over all inputs, and shards own whole, consecutive and even runs of them',
  async (t) => {
    for (const [inputs, part, of] of [
      [10, 3, 2],
      [10, 3, 7],
      [10_000, 16, 8],
      [1, 5, 1],
    ] as const) {
      const plan = planOf(inputs, part);
      const parts = partsOf(plan);
      t.same(
        parts.map(({ index, from, to }) => [index, from, to]),
        Array.from({ length: Math.ceil(inputs / part) }, (_, k) => [k, k * part, Math.min(inputs, (k + 1) * part)]),
      );
      const shards = Array.from({ length: of }, (_, index) => shardParts(plan, { index, of }));
      t.same(shards.flat(), parts);
      for (const shard of shards) t.ok(Math.abs(shard.length - parts.length / of) < 1);
    }
  },
);

t.test('the usual size of a part depends on the number of inputs and the size of results', async (t) => {
  t.equal(partSize(undefined, 1e6, [1024]), 1024);
  t.equal(partSize(undefined, 1e6, [3072, 7, 7]), 16);
  t.equal(partSize(undefined, 1e6, [1e9]), 1);
  t.equal(partSize(undefined, 10_000, [1024]), 256);
  t.equal(partSize(undefined, 7, [1024]), 1);
  t.equal(partSize(5, 7, [1024]), 5);
  t.throws(() => partSize(99_999_999, 7, [1024]), /at most \d+ inputs fit/);
});

import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { mapOrdered } from '../../../src/jobs/ordered.js';

async function* numbers(count: number, ended: () => void) {
  try {
    for (let i = 0; i < count; i++) yield i;
  } finally {
    ended();
  }
}

t.test('results come in order, with so many under way at most', async (t) => {
  let [now, most] = [0, 0];
  const results: number[] = [];
  const source = numbers(20, () => undefined);
  for await (const r of mapOrdered(source, 3, async (n) => {
    most = Math.max(most, ++now);
    await sleep(n % 2 === 0 ? 4 : 1);
    now--;
    return 10 * n;
  }))
    results.push(r);
  t.same(
    results,
    Array.from({ length: 20 }, (_, n) => 10 * n),
  );
  t.equal(most, 3);
});

t.test(
  'a failure ends it: nothing is begun any more, what is under way ends first, the source is closed',
  async (t) => {
    const begun: number[] = [];
    const done: number[] = [];
    let closed = false;
    const results = mapOrdered(
      numbers(100, () => {
        closed = true;
      }),
      4,
      async (n) => {
        begun.push(n);
        if (n === 2) throw new Error('two');
        await sleep(5);
        done.push(n);
      },
    );
    await t.rejects(async () => {
      for await (const _ of results);
    }, /two/);
    t.ok(begun.length < 10);
    t.same(done.length, begun.length - 1);
    t.ok(closed);
  },
);

import t from 'tap';
import { Check } from 'typebox/value';
import { seeded } from '../../../export/data/random.js';
import { tensor } from '../../../export/graph/tensor.js';
import { runExperiment } from '../../../src/analysis/experiment.js';
import { drawSvg } from '../../../src/analysis/figure.js';
import { metamer } from '../../../src/analysis/metamer.js';
import { metamers, permutePlaces } from '../../../src/analysis/metamers.js';
import { contextOf } from '../../helpers/experiments.js';

t.test('permuted places keep the logits of B, Newton reaches those of A, random moves do not', async (t) => {
  const result = await runExperiment(metamers, await contextOf(t), { pairs: 3, shown: 1, steps: 20 });
  t.ok(Check(metamers.result, result));
  const of = (name: string) => result.methods.find(({ method }) => method === name)!;
  t.same(result.columns, ['A', 'B', 'places', 'channels', 'newton', 'pixels', 'control']);
  for (const name of ['places', 'channels']) {
    t.ok(of(name).logits.maximum < 1e-5, 'the head averages over places');
    t.ok(of(name).picture.change.minimum > 1, 'the picture is another one');
  }
  t.ok(of('newton').logits.maximum <= 1e-3);
  t.equal(of('newton').predicted.share, 1);
  t.ok(of('pixels').picture.excess.maximum < 0.1, 'a changed picture stays within the range of pixels');
  t.ok(of('control').logits.minimum > 1e-3);
  t.ok(Math.abs(of('control').moved.median / of('newton').moved.median - 1) < 1e-4, 'the control is moved as far');
  t.match(await drawSvg(metamers.figure(result)), /<image/);
});

t.test('channels are permuted alike, or each by its own permutation; the means over places stay', async (t) => {
  const z = tensor(
    'float32',
    [1, 40, 2, 2],
    Float32Array.from({ length: 160 }, (_, i) => i),
  );
  for (const alike of [true, false]) {
    const moved = permutePlaces(z, seeded(1), alike);
    const orders = Array.from({ length: 40 }, (_, c) =>
      Array.from(moved.data.subarray(4 * c, 4 * c + 4), (v) => v - 4 * c),
    );
    for (const order of orders) t.same([...order].sort(), [0, 1, 2, 3]);
    t.equal(new Set(orders.map(String)).size > 1, !alike);
    t.not(String(orders[0]), '0,1,2,3', 'something moves');
  }
});

t.test('of two images, the first has two metamers, and a figure shows all four', async (t) => {
  const result = await runExperiment(metamer, await contextOf(t, { count: 2 }));
  t.ok(Check(metamer.result, result));
  t.ok(result.moved.difference <= 1e-3 && result.permuted!.difference < 1e-5);
  t.ok(result.moved.moved > 0 && result.permuted!.moved > 0);
  t.equal(result.moved.label, result.a.label);
  t.equal((await drawSvg(metamer.figure(result))).match(/<image/g)?.length, 4);
});

import t from 'tap';
import { correlation, quantile, ranks, shareOf, spearman, spreadOf } from '../../../src/analysis/statistics.js';

const near = (found: number, expected: number) => Math.abs(found - expected) < 1e-4;

t.test("Wilson's interval holds at the ends too", async (t) => {
  // Brown, Cai, DasGupta 2001: 95% intervals of Wilson.
  const { share, interval } = shareOf(5, 10);
  t.equal(share, 0.5);
  t.ok(near(interval[0], 0.2366) && near(interval[1], 0.7634), String(interval));
  t.ok(near(shareOf(0, 10).interval[1], 0.2775), 'no success');
  t.ok(near(shareOf(0, 10).interval[0], 0) && near(shareOf(10, 10).interval[1], 1));
});

t.test('quantiles, medians and ranks', async (t) => {
  t.equal(quantile([1, 2, 3, 4], 0.5), 2.5);
  t.match(spreadOf([3, 1, 2]), { median: 2, minimum: 1, maximum: 3 });
  const many = spreadOf(Array.from({ length: 100 }, (_, i) => i + 1));
  t.same(many.interval, [41, 60], 'the 41st and the 60th of 100 hold the median with 95%');
  t.same(Array.from(ranks([10, 30, 20, 20])), [1, 4, 2.5, 2.5], 'ties share the mean of their ranks');
});

t.test('rank correlation, and where there is none', async (t) => {
  t.equal(correlation([1, 2, 3], [2, 2, 2]), null);
  t.same(spearman([1, 2, 3], [5, 5, 5]), { spearman: null, interval: null });
  const { spearman: rho, interval } = spearman([1, 2, 3, 4, 5], [1, 8, 27, 64, 125]);
  t.ok(near(rho!, 1), 'any increasing function');
  t.ok(interval![0] <= rho! && rho! <= interval![1] + 1e-9);
  // Σd² = 4 of 4 numbers: ρ = 1 − 6 · 4 / (4 · 15) = 0.6.
  t.ok(near(spearman([1, 2, 3, 4], [2, 1, 4, 3]).spearman!, 0.6));
});

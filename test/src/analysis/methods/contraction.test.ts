import t from 'tap';
import { seeded } from '../../../../export/data/random.js';
import { tensor } from '../../../../export/graph/tensor.js';
import { componentsOf, componentVariances, projected } from '../../../../src/analysis/methods/components.js';
import {
  classMoments,
  effectiveRanks,
  nearestMean,
  nearestWhitenedMean,
  separation,
  twoNearest,
  withinClass,
  withinOverBetween,
} from '../../../../src/analysis/methods/contraction.js';

const context = { threads: 1, progress: () => {}, signal: new AbortController().signal };
const near = (a: number, b: number, by = 1e-6) => Math.abs(a - b) <= by * Math.max(1, Math.abs(b));

// Two classes of two images in the plane
const rows = tensor('float32', [4, 2], [0, 0, 2, 0, 0, 10, 0, 14]);
const labels = Uint16Array.from([1, 1, 3, 3]);

t.test('distances within and between classes are those of all pairs', async (t) => {
  // Within: 4 and 16, 10 on average. Between: 100, 196, 104, 200, 150 on average.
  t.ok(near(withinOverBetween(classMoments(rows, labels)), 10 / 150));
});

t.test('tr(Sw⁻¹ Sb) of one direction is the ratio of variances, and whitening finds the nearest mean', async (t) => {
  const line = tensor('float32', [4, 1], [-1, 1, 9, 11]);
  const moments = classMoments(line, labels);
  const whitening = await withinClass(context, line, labels, moments);
  // Within the variance is 1, between the means −5 and 5 from the middle it is 25.
  t.ok(near(separation(moments, whitening), 25, 1e-4));
  t.same([...nearestMean(tensor('float32', [2, 1], [4, 6]), moments)], [1, 3]);
  t.same([...nearestWhitenedMean(tensor('float32', [2, 1], [4, 6]), moments, whitening)], [1, 3]);
});

t.test('effective ranks of equal variances are their number', async (t) => {
  const { participation, entropy } = effectiveRanks([2, 2, 2, 0]);
  t.ok(near(participation, 3));
  t.ok(near(entropy, 3));
});

t.test('components of rows along known directions', async (t) => {
  // Along (1, 1)/√2 the variance is 2 · 16 / 3, across it 2 · 1 / 3.
  const centred = tensor(
    'float32',
    [4, 2],
    [4, 4, -4, -4, 1, -1, -1, 1].map((v) => v / Math.SQRT2),
  );
  const found = await componentsOf(context, centred);
  t.ok(near(found.variances[0]!, 32 / 3, 1e-5));
  t.ok(near(found.variances[1]!, 2 / 3, 1e-5));
  t.ok(near(found.total, 34 / 3, 1e-5));
  const { data } = await projected(context, centred, found, 1);
  t.same(
    [...data].map((v) => Math.round(Math.abs(v) * 1e4) / 1e4),
    [4, 4, 0, 0],
  );
});

t.test('wide rows: the randomised method and the small Gram matrix agree', async (t) => {
  const random = seeded(5);
  const [n, d] = [12, 1030];
  const data = Float32Array.from({ length: n * d }, (_, i) => (random() - 0.5) * (1 + (i % d < 3 ? 30 : 0)));
  const wide = tensor('float32', [n, d], data);
  const [{ variances }, exact] = [await componentsOf(context, wide), await componentVariances(context, wide)];
  for (let i = 0; i < 5; i++) t.ok(near(variances[i]!, exact[i]!, 1e-4), `${variances[i]} ${exact[i]}`);
});

t.test('TwoNN finds the dimension of a plane in space', async (t) => {
  const random = seeded(11);
  const points = Array.from({ length: 600 }, () => [random(), random()]).flatMap(([a, b]) => [a!, b!, a! + b!]);
  const dimension = await twoNearest(context, tensor('float32', [600, 3], points));
  t.ok(dimension > 1.7 && dimension < 2.3, `${dimension}`);
});

import t from 'tap';
import { seeded } from '../../../../export/data/random.js';
import { tensor } from '../../../../export/graph/tensor.js';
import { minimise } from '../../../../src/analysis/methods/minimise.js';
import { nearest } from '../../../../src/analysis/methods/nearest.js';
import { fitLinearSvm } from '../../../../src/analysis/methods/svm.js';
import { withProblems } from '../../../../src/analysis/methods/svm-problems.js';

const context = { threads: 1, progress: () => {}, signal: new AbortController().signal };

t.test('L-BFGS finds the minima of several quadratics at once', async (t) => {
  // f(x) = Σ aⱼ (xⱼ − mⱼ)² / 2, with curvatures four orders apart
  const curvatures = [1, 100, 1e4];
  const minima = [
    [1, -2, 3],
    [0.5, 0, -7],
  ];
  const evaluate = async (points: readonly Float64Array[]) => ({
    values: points.map((x, k) => x.reduce((sum, v, j) => sum + (curvatures[j]! * (v - minima[k]![j]!) ** 2) / 2, 0)),
    gradients: points.map((x, k) => x.map((v, j) => curvatures[j]! * (v - minima[k]![j]!))),
  });
  const starts = [new Float64Array(3), new Float64Array(3)];
  const options = { tolerance: 1e-9, improvement: 0, evaluations: 200 };
  const { points, converged } = await minimise(starts, evaluate, options);
  t.ok(converged);
  for (const [k, point] of points.entries()) {
    for (const [j, v] of point.entries()) t.ok(Math.abs(v - minima[k]![j]!) < 1e-5, `${v}`);
  }
});

t.test('the squared hinge has the minimum of its closed form', async (t) => {
  // One image x = 1 with y = 1: w²/2 + C (1 − w)² is least at w = 2C / (1 + 2C).
  const [rows, signs] = [tensor('float32', [1, 1], [1]), tensor('float32', [1, 1], [1])];
  for (const c of [0.01, 1, 10]) {
    const [point] = await withProblems(context, rows, signs, ({ solve }) => solve(c));
    t.ok(Math.abs(point![0]! - (2 * c) / (1 + 2 * c)) < 1e-4, `C = ${c}: ${point![0]}`);
  }
});

t.test('an image with the sign 0 takes no part', async (t) => {
  const rows = tensor('float32', [2, 1], [1, -5]);
  const [point] = await withProblems(context, rows, tensor('float32', [2, 1], [1, 0]), ({ solve }) => solve(1));
  t.ok(Math.abs(point![0]! - 2 / 3) < 1e-4, `${point![0]}`);
});

/** Three clouds in the plane, apart from one another. */
function clouds(n: number) {
  const random = seeded(3);
  const labels = Uint16Array.from({ length: n }, (_, i) => [2, 5, 7][i % 3]!);
  const centres = [
    [3, 0],
    [-3, 0],
    [0, 4],
  ];
  const data = Array.from(labels, (_, i) => centres[i % 3]!.map((c) => c + random() - 0.5)).flat();
  return { rows: tensor('float32', [n, 2], data), labels };
}

t.test('a linear SVM tells clouds apart, whatever their labels are called', async (t) => {
  const { rows, labels } = clouds(60);
  const svm = await fitLinearSvm(context, rows, labels);
  t.equal(Math.max(...svm.validation), 1);
  t.same(await svm.classify(rows), labels);
});

t.test('nearest neighbours are those of brute force', async (t) => {
  const random = seeded(9);
  const [m, n, d, k] = [70, 20, 5, 3];
  const draw = (count: number) => tensor('float32', [count, d], Float32Array.from({ length: count * d }, random));
  const [points, queries] = [draw(m), draw(n)];
  const { places, distances } = await nearest(context, points, queries, k);
  for (let i = 0; i < n; i++) {
    const all = Array.from({ length: m }, (_, p) => {
      const terms = Array.from({ length: d }, (_, j) => (queries.data[i * d + j]! - points.data[p * d + j]!) ** 2);
      return { p, distance: Math.sqrt(terms.reduce((a, b) => a + b, 0)) };
    }).sort((a, b) => a.distance - b.distance);
    t.same(
      Array.from(places.subarray(i * k, (i + 1) * k)),
      all.slice(0, k).map(({ p }) => p),
    );
    t.ok(Math.abs(distances[i * k]! - all[0]!.distance) < 1e-9);
  }
});

import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { symmetricEigenvalues, tridiagonalEigenvalues } from '../../../src/analysis/eigenvalues.js';

/** H diag(values) H with H = 1 − 2uuᵀ/‖u‖²: a full matrix with known eigenvalues. */
function matrixOf(values: readonly number[]): Float64Array {
  const n = values.length;
  const random = seeded(3);
  const u = Array.from({ length: n }, () => random() - 0.5);
  const norm = u.reduce((sum, v) => sum + v * v, 0);
  const h = (i: number, j: number) => Number(i === j) - (2 * u[i]! * u[j]!) / norm;
  return Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return values.reduce((sum, value, k) => sum + h(i, k) * value * h(k, j), 0);
  });
}

t.test('the eigenvalues of a symmetric matrix are found, equal ones and negative ones too', async (t) => {
  for (const values of [[], [4], [3, -2], [5, 5, 5], [1e6, 40, 2, 2, 1e-3, 0, 0, -7, -1e3]]) {
    const found = symmetricEigenvalues(matrixOf(values), values.length);
    t.equal(found.length, values.length);
    values.forEach((value, i) => {
      t.ok(Math.abs(found[i]! - value) < 1e-9 * Math.max(1, values[0]!), `${found[i]} is ${value}`);
    });
  }
});

t.test('the last components of the eigenvectors belong to their eigenvalues', async (t) => {
  // [[2, 1], [1, 2]]: 3 with (1, 1) / √2, 1 with (1, −1) / √2.
  const { values, lasts } = tridiagonalEigenvalues([2, 2], [1]);
  t.same(
    Array.from(values, (v) => v.toFixed(12)).sort(),
    [1, 3].map((v) => v.toFixed(12)),
  );
  for (const last of lasts) t.ok(Math.abs(Math.abs(last) - Math.SQRT1_2) < 1e-12);
  // A diagonal matrix: the last unit vector alone has a last component.
  const diagonal = tridiagonalEigenvalues([7, 8, 9], [0, 0]);
  t.same(
    [Array.from(diagonal.values), Array.from(diagonal.lasts)],
    [
      [7, 8, 9],
      [0, 0, 1],
    ],
  );
});

t.test('a matrix that is not finite is refused', async (t) => {
  t.throws(() => symmetricEigenvalues(Float64Array.of(1, Number.NaN, Number.NaN, 1), 2), /not finite/);
});

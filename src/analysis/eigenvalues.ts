/**
 * Eigenvalues of a symmetric matrix, in descending order; no vectors, so that 1,024 rows take seconds and 4,096 some minutes.
 * Householder's reduction to a tridiagonal matrix (EISPACK's tred1), then implicit QL. Libraries that also compute vectors
 * take several times as long.
 * @param matrix row-major [n, n]; only its lower triangle is read, and it is overwritten
 */
export function symmetricEigenvalues(matrix: Float64Array, n: number): Float64Array {
  const { diagonal, beside } = tridiagonal(matrix, n);
  return tridiagonalEigenvalues(diagonal, beside).values.sort((a, b) => b - a);
}

interface Tridiagonal {
  readonly diagonal: Float64Array;
  /** Element i stands between rows i and i + 1. */
  readonly beside: Float64Array;
}

/** Reflects away, from the last row up, all of row i but the last element left of the diagonal: A ← (1 − 2uuᵀ/‖u‖²) A (1 − 2uuᵀ/‖u‖²). */
function tridiagonal(a: Float64Array, n: number): Tridiagonal {
  const [diagonal, beside] = [new Float64Array(n), new Float64Array(Math.max(n - 1, 0))];
  for (let i = n - 1; i > 0; i--) {
    const u = a.subarray(i * n, i * n + i);
    diagonal[i] = a[i * n + i]!;
    const norm = Math.sqrt(dot(u, u));
    const last = u[i - 1]!;
    const reflected = last > 0 ? -norm : norm;
    beside[i - 1] = reflected;
    const half = norm * norm - last * reflected;
    if (half === 0) continue;
    u[i - 1] = last - reflected;
    reflect(a, n, u, half);
  }
  if (n > 0) diagonal[0] = a[0]!;
  return { diagonal, beside };
}

/** B ← H B H for the leading square B of the order of u, where H = 1 − uuᵀ/half: B − u qᵀ − q uᵀ. */
function reflect(a: Float64Array, n: number, u: Float64Array, half: number): void {
  const order = u.length;
  const p = new Float64Array(order);
  for (let r = 0; r < order; r++) {
    const [row, ur] = [r * n, u[r]!];
    let sum = 0;
    for (let c = 0; c < r; c++) {
      const element = a[row + c]!;
      sum += element * u[c]!;
      p[c]! += element * ur;
    }
    p[r]! += sum + a[row + r]! * ur;
  }
  for (let r = 0; r < order; r++) p[r]! /= half;
  const along = dot(u, p) / (2 * half);
  for (let r = 0; r < order; r++) p[r]! -= along * u[r]!;
  for (let r = 0; r < order; r++) {
    const [row, ur, pr] = [r * n, u[r]!, p[r]!];
    for (let c = 0; c <= r; c++) a[row + c]! -= ur * p[c]! + pr * u[c]!;
  }
}

/** Rounds of QL for one eigenvalue; a handful is usual. */
const MOST_ROUNDS = 60;

/**
 * Eigenvalues of a symmetric tridiagonal matrix by implicit QL, in no order, and the last component of each unit
 * eigenvector: Lanczos' bound on the error of an eigenvalue is a multiple of it.
 * @throws Error when it does not converge, as where a number is not finite
 */
export function tridiagonalEigenvalues(
  diagonal: ArrayLike<number>,
  beside: ArrayLike<number>,
): { values: Float64Array; lasts: Float64Array } {
  const n = diagonal.length;
  const d = Float64Array.from(diagonal);
  const e = new Float64Array(n);
  e.set(Array.from(beside).slice(0, n - 1));
  const lasts = new Float64Array(n);
  if (n > 0) lasts[n - 1] = 1;
  for (let l = 0; l < n; l++) {
    for (let round = 0; ; round++) {
      let m = l;
      while (m < n - 1 && !negligible(e[m]!, d[m]!, d[m + 1]!)) m++;
      if (m === l) break;
      if (round === MOST_ROUNDS) throw new Error('the eigenvalues do not converge: a number is not finite');
      sweep(d, e, lasts, l, m);
    }
  }
  return { values: d, lasts };
}

const negligible = (e: number, a: number, b: number): boolean =>
  Math.abs(e) <= Number.EPSILON * (Math.abs(a) + Math.abs(b));

/** One QL step with Wilkinson's shift on rows l to m, by plane rotations from the bottom up. */
function sweep(d: Float64Array, e: Float64Array, lasts: Float64Array, l: number, m: number): void {
  const ratio = (d[l + 1]! - d[l]!) / (2 * e[l]!);
  const root = Math.hypot(ratio, 1);
  let g = d[m]! - d[l]! + e[l]! / (ratio + (ratio >= 0 ? root : -root));
  let [s, c, p] = [1, 1, 0];
  for (let i = m - 1; i >= l; i--) {
    const [f, b] = [s * e[i]!, c * e[i]!];
    const r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1]! -= p;
      e[m] = 0;
      return;
    }
    [s, c] = [f / r, g / r];
    g = d[i + 1]! - p;
    const t = (d[i]! - g) * s + 2 * c * b;
    p = s * t;
    d[i + 1] = g + p;
    g = c * t - b;
    const last = lasts[i + 1]!;
    lasts[i + 1] = s * lasts[i]! + c * last;
    lasts[i] = c * lasts[i]! - s * last;
  }
  d[l]! -= p;
  e[l] = g;
  e[m] = 0;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

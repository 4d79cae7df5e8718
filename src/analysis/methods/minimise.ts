/** Values and gradients of several functions, each at a point of its own. */
export interface Evaluated {
  readonly values: ArrayLike<number>;
  readonly gradients: readonly Float64Array[];
}

export interface MinimiseOptions {
  /** A function is done when its gradient is so small a share of the first one, */
  readonly tolerance: number;
  /** or when a step lowers its value by no more than this share of it. */
  readonly improvement: number;
  /** Evaluations of all functions together, at most. */
  readonly evaluations: number;
  /** About the inverse of the Hessian's diagonal, the same for every function; default: ones. */
  readonly scale?: Float64Array | undefined;
}

/** Steps and changes of the gradient that L-BFGS remembers. */
const MEMORY = 10;
/** The share of the linear decrease that a step must reach (Armijo). */
const SUFFICIENT = 1e-4;
/** Values are sums of float32 numbers: smaller differences mean nothing. */
const NOISE = 2 ** -20;
const SMALLEST_STEP = 2 ** -20;

/**
 * Minimises smooth convex functions of as many variables, all at once: every evaluation serves each function at the point
 * where it is. L-BFGS with backtracking: Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 3.1.
 * @param starts where each function starts
 * @param evaluate gives the values and gradients at one point a function
 * @returns the points, one a function, and whether all are minima to the tolerance
 */
export async function minimise(
  starts: readonly Float64Array[],
  evaluate: (points: readonly Float64Array[]) => Promise<Evaluated>,
  options: MinimiseOptions,
): Promise<{ readonly points: readonly Float64Array[]; readonly converged: boolean }> {
  const first = await evaluate(starts);
  const descents = starts.map((x, i) => new Descent(x, first.values[i]!, first.gradients[i]!, options));
  for (let i = 1; i < options.evaluations && descents.some((d) => !d.done); i++) {
    const { values, gradients } = await evaluate(descents.map((d) => d.trial()));
    for (const [k, descent] of descents.entries()) descent.judge(values[k]!, gradients[k]!);
  }
  return { points: descents.map((d) => d.point), converged: descents.every((d) => d.done) };
}

/** A step that was taken: s = Δx, y = Δg, and 1 / sᵀy. */
interface Pair {
  readonly s: Float64Array;
  readonly y: Float64Array;
  readonly rho: number;
}

/** One function on its way to its minimum. */
class Descent {
  done: boolean;
  private readonly pairs: Pair[] = [];
  private readonly enough: number;
  private direction: Float64Array;
  private step: number;

  constructor(
    public point: Float64Array,
    private value: number,
    private gradient: Float64Array,
    private readonly options: MinimiseOptions,
  ) {
    const norm = Math.sqrt(dot(gradient, gradient));
    this.enough = options.tolerance * norm;
    this.done = norm === 0;
    this.direction = this.newDirection();
    // Nothing is known of the curvature yet, unless by `scale`.
    this.step = options.scale || norm === 0 ? 1 : 1 / norm;
  }

  /** The point to be evaluated next. */
  trial(): Float64Array {
    return this.done ? this.point : plus(this.point, this.direction, this.step);
  }

  /** Takes the step to the trial point if it descends enough, and shortens it otherwise. */
  judge(value: number, gradient: Float64Array): void {
    if (this.done) return;
    const slope = dot(this.gradient, this.direction);
    const bound = this.value + SUFFICIENT * this.step * slope + NOISE * Math.abs(this.value);
    if (!(value <= bound)) {
      this.step *= 0.5;
      this.done = this.step < SMALLEST_STEP;
      return;
    }
    const lowered = this.value - value;
    const point = this.trial();
    this.remember(plus(point, this.point, -1), plus(gradient, this.gradient, -1));
    [this.point, this.value, this.gradient] = [point, value, gradient];
    this.done =
      Math.sqrt(dot(gradient, gradient)) <= this.enough || lowered <= this.options.improvement * Math.abs(value);
    [this.direction, this.step] = [this.newDirection(), 1];
  }

  private remember(s: Float64Array, y: Float64Array): void {
    const curvature = dot(s, y);
    if (!(curvature > 0)) return;
    this.pairs.push({ s, y, rho: 1 / curvature });
    if (this.pairs.length > MEMORY) this.pairs.shift();
  }

  /** −H g by the two loops over the remembered steps. */
  private newDirection(): Float64Array {
    const { scale } = this.options;
    const r = this.gradient.map((v) => -v);
    const shares = this.pairs.map(() => 0);
    for (let i = this.pairs.length - 1; i >= 0; i--) {
      const { s, y, rho } = this.pairs[i]!;
      shares[i] = rho * dot(s, r);
      addTo(r, y, -shares[i]!);
    }
    const last = this.pairs.at(-1);
    const gamma = last ? 1 / (last.rho * weighted(last.y, scale)) : 1;
    for (let i = 0; i < r.length; i++) r[i]! *= gamma * (scale?.[i] ?? 1);
    for (const [i, { s, y, rho }] of this.pairs.entries()) addTo(r, s, shares[i]! - rho * dot(y, r));
    return r;
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Σ scale · a² */
function weighted(a: Float64Array, scale: Float64Array | undefined): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (scale?.[i] ?? 1) * a[i]! ** 2;
  return sum;
}

function addTo(a: Float64Array, b: Float64Array, factor: number): void {
  for (let i = 0; i < a.length; i++) a[i]! += factor * b[i]!;
}

/** a + factor · b */
function plus(a: Float64Array, b: Float64Array, factor: number): Float64Array {
  const sum = a.slice();
  addTo(sum, b, factor);
  return sum;
}

import { seeded } from '../../export/data/random.js';
import { tridiagonalEigenvalues } from './eigenvalues.js';

/** A symmetric operator, applied to one vector of each of several problems at a time. */
export type Operator = (vectors: readonly Float64Array[]) => Promise<Float64Array[]>;

export interface LanczosOptions {
  /** Length of a vector. */
  readonly size: number;
  /** Problems that are solved side by side. */
  readonly problems: number;
  /** Leading eigenvalues that are wanted. */
  readonly wanted: number;
  /** Most products with the operator. */
  readonly steps: number;
  /** Relative error of an eigenvalue that is good enough. */
  readonly tolerance: number;
  readonly seed: number;
  /** Where a starting vector is not zero; default: everywhere. */
  readonly within?: ((index: number) => boolean) | undefined;
}

export interface Leading {
  /** Descending; fewer than wanted where there are no more. */
  readonly values: number[];
  /** Bounds on their errors: some eigenvalue lies that close. */
  readonly bounds: number[];
  /** The smallest eigenvalue found so far; the smallest of all is no larger. */
  readonly smallest: number;
  readonly steps: number;
}

interface Run {
  readonly basis: Float64Array[];
  readonly diagonal: number[];
  readonly beside: number[];
  /** Whether the vectors span all that the operator reaches from the first. */
  exhausted: boolean;
}

/** How many steps pass between two looks at the eigenvalues. */
const LOOK = 5;

/** The share of a vector that is taken for rounding: products are in float32. */
const NOTHING = 1e-9;

/**
 * The leading eigenvalues of symmetric positive operators, by Lanczos' method with full reorthogonalisation (Golub, Van Loan,
 * Matrix Computations, section 10.3): a vector for each step is kept.
 */
export async function leadingEigenvalues(apply: Operator, options: LanczosOptions): Promise<Leading[]> {
  const { problems, steps, size, wanted, tolerance } = options;
  const most = Math.min(steps, size);
  const runs = Array.from({ length: problems }, (_, problem): Run => begin(options, problem));
  for (let step = 1; step <= most; step++) {
    const images = await apply(runs.map(({ basis }) => basis.at(-1)!));
    for (const [i, run] of runs.entries()) if (!run.exhausted) extend(run, images[i]!);
    if (step % LOOK > 0 && step < most) continue;
    const found = runs.map((run) => leading(run, wanted));
    const good = found.every(({ values, bounds }) => bounds.every((bound, i) => bound <= tolerance * values[i]!));
    if (good || step === most) return found;
  }
  return [];
}

function begin({ size, seed, within = () => true }: LanczosOptions, problem: number): Run {
  const random = seeded(seed, problem);
  const start = Float64Array.from({ length: size }, (_, i) => (within(i) ? random() - 0.5 : 0));
  scale(start, 1 / norm(start));
  return { basis: [start], diagonal: [], beside: [], exhausted: false };
}

/** One step: the next basis vector is what the image of the last has beside those before it. */
function extend(run: Run, image: Float64Array): void {
  const { basis, diagonal, beside } = run;
  const last = basis.at(-1)!;
  const whole = norm(image);
  diagonal.push(dot(image, last));
  // Twice is enough: once leaves what rounding put in.
  for (let pass = 0; pass < 2; pass++) for (const q of basis) subtract(image, q, dot(image, q));
  const length = norm(image);
  beside.push(length);
  run.exhausted = length <= NOTHING * whole;
  scale(image, 1 / length);
  basis.push(image);
}

function leading({ diagonal, beside }: Run, wanted: number): Leading {
  const { values, lasts } = tridiagonalEigenvalues(diagonal, beside);
  const residual = beside.at(-1)!;
  const order = Array.from(values.keys()).sort((a, b) => values[b]! - values[a]!);
  const first = order.slice(0, wanted);
  return {
    values: first.map((i) => values[i]!),
    bounds: first.map((i) => Math.abs(residual * lasts[i]!)),
    smallest: values[order.at(-1)!]!,
    steps: diagonal.length,
  };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

const norm = (a: Float64Array): number => Math.sqrt(dot(a, a));

function scale(a: Float64Array, by: number): void {
  for (let i = 0; i < a.length; i++) a[i]! *= by;
}

function subtract(a: Float64Array, b: Float64Array, times: number): void {
  for (let i = 0; i < a.length; i++) a[i]! -= times * b[i]!;
}

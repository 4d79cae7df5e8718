import { jvp, vjp } from '../../export/graph/grad.js';
import { type Graph, input, type Value } from '../../export/graph/graph.js';
import { type Tensor, tensor } from '../../export/graph/tensor.js';
import type { Session } from '../../export/runtime/session.js';
import { type Context, withGraph } from './context.js';

type Floats = Tensor<'float32'>;

/** A function whose values are logits: the head, of features; Φ and the head, of canvases. */
export interface Scores {
  readonly of: (z: Value) => Value;
  readonly classes: number;
  /** Brings its arguments back to where they may lie, after every step. */
  readonly project?: (z: Floats) => Floats;
}

/** z [batch, …], u [batch, classes] → the logits, Jᵀ·u and JJᵀ·u, where J is the derivative of the logits at z. */
function productsGraph({ of, classes }: Scores, dims: readonly number[]): Graph {
  const [z, u] = [input('z', 'float32', dims), input('u', 'float32', [dims[0]!, classes])];
  const logits = of(z);
  const pulled = vjp([logits], [u], [z])[0]!;
  return { name: 'products', inputs: [z, u], outputs: { logits, pulled, product: jvp([logits], [z], [pulled])[0]! } };
}

export interface NewtonOptions {
  /** Most steps. */
  readonly steps: number;
  /** Largest difference of a logit that is good enough. */
  readonly tolerance: number;
}

/**
 * Moves features, or canvases, until their logits are the wanted ones, by Newton steps of least norm:
 * δ = Jᵀ(JJᵀ)⁻¹(target − logits), the inverse by conjugate gradients. Networks are piecewise linear, so a few steps do.
 * @param z float32 [N, C, H, W]
 * @param target float32 [N, classes]
 * @returns z, moved
 */
export const reachLogits = (
  context: Context,
  scores: Scores,
  z: Floats,
  target: Floats,
  { steps, tolerance }: NewtonOptions,
): Promise<Floats> =>
  withGraph(context, productsGraph(scores, z.dims), context.model.weights, async (session) => {
    let moved = z;
    for (let taken = 0; taken < steps; taken++) {
      const { logits } = await session.run({ z: moved, u: target }, ['logits']);
      const missing = target.data.map((v, i) => v - Number(logits!.data[i]));
      if (missing.every((v) => Math.abs(v) <= tolerance)) break;
      const u = await solve(session, moved, tensor('float32', target.dims, missing));
      const { pulled } = await session.run({ z: moved, u }, ['pulled']);
      const step = moved.data.map((v, i) => v + Number(pulled!.data[i]));
      moved = (scores.project ?? asIs)(tensor('float32', z.dims, step));
    }
    return moved;
  });

const asIs = (z: Floats): Floats => z;

/** Most products of one solution; as many as there are classes would be exact, were there no rounding. */
const PRODUCTS = 60;
/** Residual, relative to the right side, that is good enough. */
const SOLVED = 1e-5;

/** JJᵀ·u = right for each row, by conjugate gradients side by side (Golub, Van Loan, section 11.3). */
async function solve(session: Pick<Session, 'run'>, z: Floats, right: Floats): Promise<Floats> {
  const [count, classes] = right.dims as [number, number];
  const u = new Float64Array(right.data.length);
  const r = Float64Array.from(right.data);
  const p = Float64Array.from(r);
  const row = (x: Float64Array, n: number) => x.subarray(n * classes, (n + 1) * classes);
  const first = Array.from({ length: count }, (_, n) => dot(row(r, n), row(r, n)));
  const rr = [...first];
  for (let step = 0; step < Math.min(PRODUCTS, 2 * classes); step++) {
    if (rr.every((v, n) => v <= SOLVED ** 2 * first[n]!)) break;
    const { product } = await session.run({ z, u: tensor('float32', right.dims, p) }, ['product']);
    const ap = Float64Array.from(product!.data as Float32Array);
    for (let n = 0; n < count; n++) {
      const curvature = dot(row(p, n), row(ap, n));
      if (rr[n]! <= SOLVED ** 2 * first[n]! || !(curvature > 0)) continue;
      const alpha = rr[n]! / curvature;
      const [un, rn, pn, an] = [row(u, n), row(r, n), row(p, n), row(ap, n)];
      for (let k = 0; k < classes; k++) {
        un[k]! += alpha * pn[k]!;
        rn[k]! -= alpha * an[k]!;
      }
      const next = dot(rn, rn);
      for (let k = 0; k < classes; k++) pn[k] = rn[k]! + (next / rr[n]!) * pn[k]!;
      rr[n] = next;
    }
  }
  return tensor('float32', right.dims, u);
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);

import { emit, type Placement } from '../../export/emit.js';
import { type Graph, input, type Parameter, type Value } from '../../export/graph.js';
import { openSession, type SessionOptions } from '../../export/runtime.js';
import { staticShape } from '../../export/shape.js';
import { sizeOf, type Tensor, tensor } from '../../export/tensor.js';

/** A small, seeded generator of numbers in [0, 1) (mulberry32), so that tests see the same data each time. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A float32 tensor of uniform numbers in [−1, 1). */
export function noise(dims: readonly number[], random: () => number): Tensor<'float32'> {
  return tensor('float32', dims, Float32Array.from({ length: sizeOf(dims) }, () => 2 * random() - 1));
}

export const inputLike = (name: string, t: Tensor): Value => input(name, t.type, t.dims);

/** Places every parameter inline, from a map by name. */
export const inlineFrom =
  (tensors: ReadonlyMap<string, Tensor>) =>
  (p: Parameter): Placement => ({ kind: 'inline', tensor: tensors.get(p.source.name)! });

/** Random numbers for parameters: 1 + noise for scales and variances, small noise for the rest. */
export function randomParameters(parameters: readonly Parameter[], random: () => number): Map<string, Tensor<'float32'>> {
  return new Map(
    parameters.map((p) => {
      const values = noise(staticShape(p.type.shape), random);
      const positive = p.source.role.init === 'ones';
      const data = values.data.map((v) => (positive ? 1 + 0.5 * v : 0.3 * v));
      return [p.source.name, { ...values, data }];
    }),
  );
}

/** Opens a session on a graph, whose parameters come from `tensors`. */
export const sessionOf = (
  graph: Graph,
  tensors: ReadonlyMap<string, Tensor> = new Map(),
  options: SessionOptions = { threads: 1, optimisation: 'none' },
) => openSession(emit(graph, inlineFrom(tensors)), options);

/** Runs a graph of inputs alone, once. */
export async function evaluate(graph: Graph, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const session = await sessionOf(graph);
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

/** ‖a − b‖₂ / ‖b‖₂. */
export function relativeError(a: Tensor, b: Tensor): number {
  let [difference, norm] = [0, 0];
  for (let i = 0; i < b.data.length; i++) {
    difference += (Number(a.data[i]) - Number(b.data[i])) ** 2;
    norm += Number(b.data[i]) ** 2;
  }
  return Math.sqrt(difference / (norm || 1));
}

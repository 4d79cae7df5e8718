import type { Random } from '../../export/data/random.js';
import { emit, type ParameterData } from '../../export/graph/emit.js';
import { type Graph, input, type Parameter, type Value } from '../../export/graph/graph.js';
import { sizeOf, type Tensor, tensor } from '../../export/graph/tensor.js';
import { openSession, type SessionOptions } from '../../export/runtime/session.js';
import { initialise } from '../../export/train/initialise.js';

/** A float32 tensor of uniform numbers in [−1, 1). */
export function noise(dims: readonly number[], random: Random): Tensor<'float32'> {
  return tensor(
    'float32',
    dims,
    Float32Array.from({ length: sizeOf(dims) }, () => 2 * random() - 1),
  );
}

export const inputLike = (name: string, t: Tensor): Value => input(name, t.type, t.dims);

/** Places every parameter inline, from a map by name. */
export const inlineFrom =
  (tensors: ReadonlyMap<string, Tensor>) =>
  (p: Parameter): ParameterData => ({ kind: 'inline', tensor: tensors.get(p.source.name)! });

/** Parameters as they start, moved by noise so that every scale, bias and statistic matters. */
export function randomParameters(parameters: readonly Parameter[], random: Random): Map<string, Tensor<'float32'>> {
  const values = initialise(parameters, random);
  const vectors = [...values].filter(([, t]) => t.dims.length === 1);
  for (const [name, t] of vectors) values.set(name, { ...t, data: t.data.map((v) => v + 0.4 * random() - 0.2) });
  return values;
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

import { type Images, pixelsOf } from '../data/images.js';
import { type Graph, input, parametersOf, type Value } from '../graph/graph.js';
import { abs } from '../graph/ops/elementwise.js';
import { reduceMean } from '../graph/ops/reduce.js';
import type { NamedTensors } from '../graph/tensor.js';
import { emitInline } from '../model/graphs.js';
import { encode, type Network, type State } from '../networks/network.js';
import { openSession } from '../runtime/session.js';

/**
 * The parameter on which a network's NaN or infinite numbers most likely rest: of those that the first spoilt state needs
 * and no earlier one, the parameter with the largest factor.
 * @returns its name and that factor
 */
export async function overflowing(
  network: Network,
  weights: NamedTensors,
  images: Images,
): Promise<{ parameter: string; factor: number }> {
  const { height, width, channels } = images;
  const pixels = input('pixels', 'uint8', ['N', height, width, channels]);
  const { states, logits } = encode(network, network.pixels.forward(pixels));
  const stages: State[] = [...states, [logits]];
  // A mean is finite where all its numbers are; a maximum may pass over NaN.
  const means = stages.flatMap((state, i) => state.map((x, s) => [`state${i}.${s}`, meanOf(x)] as const));
  const graph: Graph = { name: 'means', inputs: [pixels], outputs: Object.fromEntries(means) };
  const session = await openSession(emitInline(graph, weights));
  const found = await session.run({ pixels: pixelsOf(images) }).finally(() => session.release());
  const finite = (name: string) => (found[name]!.data as Float32Array).every(Number.isFinite);
  const first = stages.findIndex((state, i) => !state.every((_, s) => finite(`state${i}.${s}`)));
  const before = new Set(namesOf(stages[first - 1] ?? []));
  const suspects = namesOf(stages[first] ?? [logits]).filter((name) => !before.has(name));
  const factors = suspects.map((parameter) => ({ parameter, factor: factorOf(parameter, weights) }));
  return factors.reduce((a, b) => (b.factor > a.factor ? b : a));
}

const meanOf = (x: Value): Value =>
  reduceMean(
    abs(x),
    x.type.shape.flatMap((_, axis) => (axis === 0 ? [] : [axis])),
    false,
  );

const namesOf = (state: State): string[] => parametersOf(state).map((p) => p.source.name);

/** What a parameter multiplies by, at most: a variance divides. */
function factorOf(name: string, weights: NamedTensors): number {
  const scale = name.endsWith('.running_var') ? (v: number) => 1 / Math.sqrt(v + 1e-5) : Math.abs;
  return (weights.get(name)!.data as Float32Array).reduce((most, v) => Math.max(most, scale(v)), 0);
}

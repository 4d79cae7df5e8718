import { emit, type ParameterData } from '../graph/emit.js';
import { type Graph, input, type Parameter, parametersOf } from '../graph/graph.js';
import { abs } from '../graph/ops/elementwise.js';
import { concat, reshape } from '../graph/ops/movement.js';
import { reduceMax } from '../graph/ops/reduce.js';
import type { NamedTensors } from '../graph/tensor.js';
import { crop } from '../networks/layers/pixels.js';
import { decode, encode, isInvertible, type Network } from '../networks/network.js';

const pixelsOf = ({ input: { height, width, channels } }: Network) =>
  input('pixels', 'uint8', ['N', height, width, channels]);

/** Φ: pixels → features, logits, image. */
export function forwardGraph(network: Network): Graph {
  const pixels = pixelsOf(network);
  const x = network.pixels.forward(pixels);
  const { features, logits } = encode(network, x);
  return { name: 'forward', inputs: [pixels], outputs: { features, logits, image: crop(x, network.input) } };
}

/** Φ⁻¹: features → pixels, image; undefined where the network cannot be inverted. */
export function inverseGraph(network: Network): Graph | undefined {
  if (!isInvertible(network)) return undefined;
  const features = input('features', 'float32', ['N', ...network.features]);
  const x = decode(network, features);
  const pixels = network.pixels.inverse(x);
  return { name: 'inverse', inputs: [features], outputs: { pixels, image: crop(x, network.input) } };
}

/** The largest magnitude in the state before the first block and after each block: pixels → float32 [N, blocks + 1]. */
export function magnitudeGraph(network: Network): Graph {
  const pixels = pixelsOf(network);
  const peaks = encode(network, network.pixels.forward(pixels)).states.map((state) => {
    const merged = state.map((stream) => reduceMax(abs(stream), [1, 2, 3], false));
    return reduceMax(
      concat(
        merged.map((m) => reshape(m, ['N', 1])),
        1,
      ),
      [1],
      true,
    );
  });
  return { name: 'magnitudes', inputs: [pixels], outputs: { magnitudes: concat(peaks, 1) } };
}

/** The parameters of a network, in the order of first use. */
export const networkParameters = (network: Network): Parameter[] => graphParameters([forwardGraph(network)]);

/** The parameters of several graphs, each name once, in the order of first use. */
export function graphParameters(graphs: readonly Graph[]): Parameter[] {
  const all = graphs.flatMap(({ outputs }) => parametersOf(Object.values(outputs)));
  return [...new Map(all.map((p) => [p.source.name, p])).values()];
}

/** How many numbers training changes by gradients; running statistics are not counted. */
export const countTrained = (network: Network): number =>
  networkParameters(network)
    .filter((p) => p.source.role.kind === 'trained')
    .reduce((sum, p) => sum + p.type.shape.reduce<number>((a, d) => a * Number(d), 1), 0);

/** A graph with its weights inside, as ONNX bytes that need no other file. */
export const emitInline = (graph: Graph, weights: NamedTensors): Uint8Array =>
  emit(graph, (p): ParameterData => ({ kind: 'inline', tensor: weights.get(p.source.name)! }));

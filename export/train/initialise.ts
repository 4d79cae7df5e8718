import { type Random, seeded } from '../data/random.js';
import type { Parameter } from '../graph/graph.js';
import { staticShape } from '../graph/shape.js';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.js';
import type { WeightSource } from '../model/weights.js';

/** The first value of a parameter: 'fan-in' draws uniformly within ±1/√(inputs of one output), PyTorch's default. */
function initialValue(p: Parameter, random: Random): Tensor<'float32'> {
  const dims = staticShape(p.type.shape);
  const bound = 1 / Math.sqrt(sizeOf(dims.slice(1)));
  const draw = { 'fan-in': () => (2 * random() - 1) * bound, zeros: () => 0, ones: () => 1 }[p.source.role.init];
  const data = new Float32Array(sizeOf(dims));
  for (let i = 0; i < data.length; i++) data[i] = draw();
  return tensor('float32', dims, data);
}

/** First values, each drawn on demand by a generator of its own, so that a large network need not fit into memory. */
export function initialSource(parameters: readonly Parameter[], seed: number): WeightSource {
  const numbered = new Map(parameters.map((p, i) => [p.source.name, { p, i }]));
  return {
    get: (name) => {
      const found = numbered.get(name);
      return found && initialValue(found.p, seeded(seed, found.i));
    },
  };
}

/** First values of parameters by name, drawn in the given order. */
export const initialise = (parameters: readonly Parameter[], random: Random): Map<string, Tensor<'float32'>> =>
  new Map(parameters.map((p) => [p.source.name, initialValue(p, random)]));

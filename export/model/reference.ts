import { type Graph, input } from '../graph/graph.js';
import type { NamedTensors, Tensor } from '../graph/tensor.js';
import { buildNetwork, ConfigError, type Specification } from '../networks/index.js';
import { decode, encode, isInvertible } from '../networks/network.js';
import { openSession } from '../runtime/session.js';
import { emitInline } from './graphs.js';
import { relativeError } from './measure.js';

/** Results of another implementation of a network, computed from inputs that are normalised already. */
export interface Reference {
  /** float32 [N, C, H, W], of any size that the network can take. */
  readonly input: Tensor<'float32'>;
  readonly logits: Tensor<'float32'>;
  readonly features?: Tensor<'float32'> | undefined;
}

/** Relative errors ‖ours − theirs‖₂ / ‖theirs‖₂; null where the reference holds nothing to compare with. */
export interface Agreement {
  readonly logits: number;
  readonly features: number | null;
  /** Of Φ⁻¹(Φ(x)) against x; null where there is no inverse. */
  readonly inversion: number | null;
}

/**
 * Runs a network on the inputs of another implementation, at their size, and compares the results.
 * @throws ConfigError when the network cannot take inputs of that size
 */
export async function compareWithReference(
  { architecture, config }: Specification,
  weights: NamedTensors,
  reference: Reference,
): Promise<Agreement> {
  const [, , height, width] = reference.input.dims;
  const given = config.input as object;
  const network = buildNetwork({ architecture, config: { ...config, input: { ...given, height, width, padding: 0 } } });
  const x = input('x', 'float32', ['N', network.input.channels, height!, width!]);
  const { features, logits } = encode(network, x);
  const encoded = await run({ name: 'Φ', inputs: [x], outputs: { features, logits } }, weights, { x: reference.input });
  const z = input('z', 'float32', ['N', ...network.features]);
  const inverse = isInvertible(network) && { name: 'Φ⁻¹', inputs: [z], outputs: { x: decode(network, z) } };
  const decoded = inverse && (await run(inverse, weights, { z: encoded.features! }));
  return {
    logits: errorOf(encoded.logits!, reference.logits, 'logits'),
    features: reference.features ? errorOf(encoded.features!, reference.features, 'features') : null,
    inversion: decoded ? errorOf(decoded.x!, reference.input, 'input') : null,
  };
}

async function run(graph: Graph, weights: NamedTensors, feeds: Readonly<Record<string, Tensor>>) {
  const session = await openSession(emitInline(graph, weights));
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

function errorOf(ours: Tensor, theirs: Tensor, what: string): number {
  if (`${ours.dims}` !== `${theirs.dims}`)
    throw new ConfigError(`the reference's ${what} have shape [${theirs.dims}], the network gives [${ours.dims}]`);
  return relativeError(theirs.data as Float32Array, ours.data as Float32Array);
}

import { seeded } from '../../export/data/random.js';
import { sha256 } from '../../export/files/write.js';
import { parametersOf } from '../../export/graph/graph.js';
import type { NamedTensors } from '../../export/graph/tensor.js';
import { networkParameters } from '../../export/model/graphs.js';
import type { Model } from '../../export/model/open.js';
import type { Network } from '../../export/networks/network.js';
import { initialise } from '../../export/train/initialise.js';
import { pixelInput, statesOf } from './taps.js';

/** A network whose features are looked at: the model's, or one that it is compared with. */
export interface Subject {
  readonly network: Network;
  readonly weights: NamedTensors;
  /** Equal for equal networks with equal weights. */
  readonly hash: string;
}

const hashOf = ({ architecture: { name, config }, files }: Model['manifest'], ...more: readonly string[]): string =>
  sha256(JSON.stringify([name, config, files['weights.bin'].sha256, ...more]));

/** The model as it is. */
export const asTrained = ({ network, weights, manifest }: Model): Subject => ({
  network,
  weights,
  hash: hashOf(manifest),
});

/** The model's network with random weights. */
export const untrained = ({ network, manifest }: Model, seed: number): Subject => ({
  network,
  weights: initialise(networkParameters(network), seeded(seed)),
  hash: hashOf(manifest, 'random weights', String(seed)),
});

/**
 * The network without its learned branches: ψ and the exchange of streams alone, which rearrange the input. undefined
 * where a block has no shortcut, or a learned one.
 */
export function rearranging({ network, manifest }: Model): Subject | undefined {
  const bare = withoutBranches(network);
  return bare && { network: bare, weights: new Map(), hash: hashOf(manifest, 'without branches') };
}

/** The same network with shortcuts in place of its blocks, where they are there and have no parameters. */
export function withoutBranches(network: Network): Network | undefined {
  if (!network.blocks.every(({ shortcut }) => shortcut)) return undefined;
  const blocks = network.blocks.map((block) => ({ ...block, forward: block.shortcut! }));
  const bare = { ...network, blocks };
  return parametersOf(statesOf(bare, pixelInput(bare)).flat()).length > 0 ? undefined : bare;
}

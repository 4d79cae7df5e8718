import { DatasetError } from '../data/dataset.js';
import { buildNetwork, ConfigError } from '../networks/index.js';
import type { InputConfig } from '../networks/input.js';
import type { NamedNetwork } from './recipe.js';

/** What data ask of a network. */
export interface Demand {
  readonly classes: number;
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
}

/** Most rows and columns of black around images of another size. */
const MOST_PADDING = 16;

/**
 * The network with as many classes, and with the input that the data have. Where the size is another, as much black is put
 * around the images as the network needs.
 * @throws DatasetError when the network cannot take such images
 */
export function fitNetwork(network: NamedNetwork, { classes, ...size }: Demand): NamedNetwork {
  const input = network.config.input as InputConfig;
  const same = (['height', 'width', 'channels'] as const).every((side) => input[side] === size[side]);
  const fitted = (given: InputConfig): NamedNetwork => ({
    ...network,
    config: { ...network.config, classes, input: given },
  });
  if (same) return fitted(input);
  const spread = (values: readonly number[]) =>
    values.length === size.channels
      ? [...values]
      : Array<number>(size.channels).fill(values.reduce((a, b) => a + b, 0) / values.length);
  const resized = { ...input, ...size, mean: spread(input.mean), std: spread(input.std) };
  let problem = '';
  for (let padding = 0; padding <= MOST_PADDING; padding++) {
    const tried = fitted({ ...resized, padding });
    try {
      buildNetwork(tried);
      return tried;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problem ||= error.message;
    }
  }
  throw new DatasetError(
    `the network ${network.name} cannot take images of ${size.height} × ${size.width} × ${size.channels} ` +
      `(height × width × channels): ${problem}. Choose another with --config`,
  );
}

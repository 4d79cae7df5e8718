import { ConfigError, type Specification, withGrid } from '../networks/index.js';
import type { InputConfig } from '../networks/input.js';
import type { Given } from './importer.js';

/**
 * A network that is named rather than inferred, with what is said of it besides.
 * @throws ConfigError when an initial ψ is asked for where there is none to set
 */
export function withGiven(
  specification: Specification,
  { input: size, channels, initialPsi, mean, std }: Given,
): Specification {
  const { architecture, config } = specification;
  const named = config.input as InputConfig;
  const input = { ...named, channels: channels ?? named.channels };
  if (size) [input.height, input.width] = size;
  const each = (values: readonly number[]) =>
    values.length === 1 ? Array<number>(input.channels).fill(values[0]!) : [...values];
  if (mean) input.mean = each(mean);
  if (std) input.std = each(std);
  if (initialPsi !== undefined && !('initialPsi' in config))
    throw new ConfigError(`${architecture} has no initial ψ: leave out --initial-psi`);
  return { ...specification, config: { ...config, input, ...(initialPsi !== undefined && { initialPsi }) } };
}

/** On the grid that is asked for, or its own. @throws ConfigError */
export const onGivenGrid = (specification: Specification, { grid }: Given): Specification =>
  grid === undefined ? specification : withGrid(specification, grid);

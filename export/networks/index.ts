import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { problemsOf } from '../files/schema.js';
import { FINEST_GRID, IRevNetConfig, irevnet } from './irevnet.js';
import { ConfigError, type Network } from './network.js';
import { ResNetConfig, resnet } from './resnet.js';
import { RevNetConfig, revnet } from './revnet.js';

export {
  type Block,
  ConfigError,
  decode,
  type Encoded,
  encode,
  isInvertible,
  type Network,
  type State,
} from './network.js';

/** Every architecture: the schema of its configuration, and how it is built. Adding one is one file and one line. */
export const architectures = {
  irevnet: checked(IRevNetConfig, irevnet),
  revnet: checked(RevNetConfig, revnet),
  resnet: checked(ResNetConfig, resnet),
} as const;
export type ArchitectureName = keyof typeof architectures;

/** A network's architecture and configuration: what a JSON file or a manifest says of it. */
export interface Specification {
  readonly architecture: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Builds a network from a specification of unknown origin.
 * @throws ConfigError naming every field that is missing or wrong, or the constraint that fails
 */
export function buildNetwork({ architecture, config }: Specification): Network {
  if (!Object.hasOwn(architectures, architecture)) {
    throw new ConfigError(`unknown architecture ${architecture}; there are: ${Object.keys(architectures).join(', ')}`);
  }
  return architectures[architecture as ArchitectureName](config);
}

/**
 * The same network on another grid, or on plain floats.
 * @throws ConfigError when a grid is asked for that cannot be, or where there is none to set
 */
export function withGrid<S extends Specification>(specification: S, grid: number | null): S {
  if (grid !== null && !(Number.isInteger(grid) && grid >= 1 && grid <= FINEST_GRID))
    throw new ConfigError(`grid must be a whole number from 1 to ${FINEST_GRID}, or none, got ${grid}`);
  if ('grid' in specification.config) return { ...specification, config: { ...specification.config, grid } };
  if (grid === null) return specification;
  throw new ConfigError(`${specification.architecture} has no grid: it is not invertible`);
}

function checked<S extends TSchema>(schema: S, build: (config: Static<S>) => Network): (config: unknown) => Network {
  const validator = Compile(schema);
  return (config) => {
    if (validator.Check(config)) return build(config);
    throw new ConfigError(problemsOf(validator, config, 'config'));
  };
}

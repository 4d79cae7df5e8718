import { Compile } from 'typebox/compile';
import { IRevNetConfig, irevnet } from './irevnet.js';
import { ConfigError, type Network } from './network.js';

export { ConfigError, type Network } from './network.js';

/** Every architecture: the schema of its configuration, and how it is built. Adding one is one file and one line. */
export const architectures = {
  irevnet: { schema: IRevNetConfig, build: irevnet },
} as const;
export type ArchitectureName = keyof typeof architectures;

/**
 * Builds a network from a configuration of unknown origin, such as a manifest's.
 * @throws ConfigError naming every field that is missing or wrong
 */
export function buildNetwork(name: string, config: unknown): Network {
  if (!Object.hasOwn(architectures, name)) {
    throw new ConfigError(`unknown architecture ${name}; there are: ${Object.keys(architectures).join(', ')}`);
  }
  const { schema, build } = architectures[name as ArchitectureName];
  const validator = Compile(schema);
  if (!validator.Check(config)) {
    const problems = validator
      .Errors(config)
      .map((e) => `${e.instancePath.slice(1).replaceAll('/', '.') || 'config'} ${e.message}`);
    throw new ConfigError(`${name}: ${problems.join('; ')}`);
  }
  return build(config);
}

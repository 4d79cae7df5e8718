import { readFile } from 'node:fs/promises';
import { decodeText } from '../files/text.js';
import { type Configuration, configurations } from './configurations.js';
import { ConfigError, type Specification } from './index.js';

/** A specification, with what is known of a named network besides. */
export type Described = Specification & Partial<Pick<Configuration, 'description' | 'preprocessing'>>;

/**
 * The network of a name in the table, or of a JSON file {architecture, config}.
 * @throws ConfigError when it is neither; EncodingError
 */
export async function readSpecification(nameOrFile: string): Promise<Described> {
  const named = Object.hasOwn(configurations, nameOrFile) ? configurations[nameOrFile] : undefined;
  if (named) return { ...named, config: { ...named.config } };
  const bytes = await readFile(nameOrFile).catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(
      `${nameOrFile} is no network's name and no file (${error.code}); names: ${Object.keys(configurations).join(', ')}`,
    );
  });
  const { architecture, config } = parsed(decodeText(bytes, nameOrFile), nameOrFile);
  if (typeof architecture === 'string' && typeof config === 'object' && config !== null)
    return { architecture, config: { ...config } };
  throw new ConfigError(`${nameOrFile}: expected {"architecture": "irevnet", "config": {…}}`);
}

function parsed(text: string, file: string): { architecture?: unknown; config?: unknown } {
  try {
    return Object(JSON.parse(text));
  } catch (error) {
    throw new ConfigError(`${file} is not JSON: ${(error as Error).message}`);
  }
}

import type { ModelSource } from '../../export/model/models-folder.js';
import type { Provider } from '../../export/runtime/session.js';
import type { Config } from '../common/config.js';
import type { Edition } from './protocol.js';
import { batchSizes } from './sizing.js';

/** The models that every replica has. A replica that starts reads it then; those that run are told of changes. */
export interface Catalog {
  editions(): readonly Edition[];
  /** Adds a model under a new id. */
  add(source: ModelSource): Edition;
  remove(id: string): void;
}

/** @param provider what the models run on: it decides the sizes of batches */
export function createCatalog(
  config: Pick<Config, 'maxBatch' | 'batchBuckets'>,
  sources: readonly ModelSource[],
  provider: Provider,
): Catalog {
  const editions = new Map<string, Edition>();
  let added = 0;
  const add = (source: ModelSource): Edition => {
    const id = `${source.manifest.name}#${++added}`;
    const edition = { ...source, id, ...batchSizes(config, source.manifest, provider) };
    editions.set(id, edition);
    return edition;
  };
  for (const source of sources) add(source);
  return {
    editions: () => [...editions.values()],
    add,
    remove: (id) => void editions.delete(id),
  };
}

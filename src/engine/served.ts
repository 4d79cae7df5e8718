import type { Manifest } from '../../export/model/manifest.js';
import type { Edition } from './protocol.js';

/** Which edition of each model requests get, and which editions they still use. */
export interface Served {
  /** By name. */
  readonly models: ReadonlyMap<string, Manifest>;
  /** From now on requests get this edition of its model. The one before is released once no request uses it. */
  serve(edition: Edition): void;
  /** From now on requests get no such model. It is released once no request uses it. */
  remove(name: string): void;
  /** Keeps an edition loaded. @returns a function that ends this */
  hold(manifest: Manifest): () => void;
  /** @throws RangeError when it was released */
  editionOf(manifest: Manifest): Edition;
}

/** @param release is called with the id of an edition that is neither served nor used any more */
export function createServed(release: (id: string) => void): Served {
  const models = new Map<string, Manifest>();
  const uses = new Map<Manifest, { readonly edition: Edition; users: number }>();
  const dropIfUnused = (manifest: Manifest | undefined) => {
    const use = manifest && uses.get(manifest);
    if (!use || use.users > 0 || models.get(manifest.name) === manifest) return;
    uses.delete(manifest);
    release(use.edition.id);
  };
  return {
    models,
    serve(edition) {
      const { manifest } = edition;
      const former = models.get(manifest.name);
      models.set(manifest.name, manifest);
      uses.set(manifest, { edition, users: 0 });
      dropIfUnused(former);
    },
    remove(name) {
      const former = models.get(name);
      models.delete(name);
      dropIfUnused(former);
    },
    hold(manifest) {
      const use = uses.get(manifest);
      if (use) use.users++;
      return () => {
        if (use) use.users--;
        dropIfUnused(manifest);
      };
    },
    editionOf(manifest) {
      const use = uses.get(manifest);
      if (use) return use.edition;
      throw new RangeError(`this edition of the model ${manifest.name} was released`);
    },
  };
}

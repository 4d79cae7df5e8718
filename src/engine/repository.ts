import { join, sep } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { ModelError } from '../../export/model/folder.js';
import { type Manifest, MODEL_NAME } from '../../export/model/manifest.js';
import { modelNames, readModel } from '../../export/model/models-folder.js';
import type { Config } from '../common/config.js';
import { Problem } from '../common/problems.js';
import type { Backend, Observer } from './backend.js';
import type { Pool } from './pool.js';
import type { Edition } from './protocol.js';
import { createServed, type Served } from './served.js';
import { lackOfMemory, thisMachine } from './sizing.js';

/** Whether a model of the models folder is served, and why not. */
export interface ModelState {
  readonly name: string;
  readonly state: 'ready' | 'loading' | 'unavailable';
  readonly reason: string;
}

/** The models folder, and what is served of it. Changes wait for each other; requests under way keep what they use. */
export interface Repository extends Pick<Served, 'models' | 'hold' | 'editionOf'> {
  /** Why models cannot be served, by name. */
  readonly unavailable: ReadonlyMap<string, string>;
  /** Every model of the folder, in the order of their names. */
  states(): Promise<ModelState[]>;
  /**
   * Reads a model from its folder and serves it. A model whose manifest is served already stays as it is; one that cannot
   * be loaded does not replace its older edition.
   * @throws Problem unknown-model, load-failed, not-ready
   */
  load(name: string): Promise<void>;
  /** Ends serving a model. @throws Problem unknown-model, default-model */
  unload(name: string): Promise<void>;
  /** Serves what the folder holds: new models, changed ones, and not those that are gone. The observer is told what failed. */
  refresh(): Promise<void>;
  /** As `PoolSettings.spare`: while the service starts, models that fail are left out. */
  spare(id: string, error: Error): boolean;
}

export interface RepositoryOptions {
  readonly config: Config;
  readonly defaultModel: string;
  /** Folders that could not be read at the start. */
  readonly damaged: ReadonlyMap<string, ModelError>;
  readonly backend: Pick<Backend, 'kind' | 'catalog'>;
  readonly observer: Observer;
  readonly pool: () => Pick<Pool, 'load' | 'unload' | 'status'>;
}

export function createRepository(options: RepositoryOptions): Repository {
  const { config, defaultModel, backend, observer, pool } = options;
  const { catalog } = backend;
  const unavailable = new Map<string, string>();
  /** The edition that is being loaded, and why a replica that started meanwhile could not load it. */
  let loading: { readonly edition: Edition; failure?: Error } | undefined;
  let last: Promise<unknown> = Promise.resolve();

  const release = (id: string) => {
    catalog.remove(id);
    pool().unload(id);
  };
  const served = createServed(release);
  const { models } = served;
  /** Messages name paths in the models folder: clients need not know where it lies. */
  const reasonOf = ({ message }: Error) => message.replaceAll(join(config.models, sep), '');
  const fail = (name: string, error: Error) => {
    if (!models.has(name)) unavailable.set(name, reasonOf(error));
    observer.model?.(name, models.has(name) ? 'kept' : 'unavailable', error.message);
  };
  const inTurn = <T>(change: () => Promise<T>): Promise<T> => {
    const done = last.then(change);
    last = done.catch(() => undefined);
    return done;
  };

  const take = async (name: string): Promise<void> => {
    const files = backend.kind !== 'oip';
    const { manifest } = await readModel(config.models, name, { files: false });
    const former = models.get(name);
    if (isDeepStrictEqual(manifest, former)) return;
    const source = await readModel(config.models, name, { files });
    checkMemory(source.manifest);
    const edition = catalog.add(source);
    loading = { edition };
    try {
      await pool().load(edition);
      if (loading.failure) throw loading.failure;
    } catch (error) {
      release(edition.id);
      throw error;
    } finally {
      loading = undefined;
    }
    served.serve(edition);
    unavailable.delete(name);
    observer.model?.(name, former ? 'renewed' : 'loaded');
  };
  const checkMemory = (manifest: Manifest) => {
    if (backend.kind !== 'cpu') return;
    const lack = lackOfMemory(manifest, pool().status().workers, thisMachine(), process.memoryUsage.rss());
    if (lack) throw new Error(lack);
  };
  const drop = (name: string) => {
    served.remove(name);
    unavailable.delete(name);
    observer.model?.(name, 'removed');
  };

  for (const edition of catalog.editions()) served.serve(edition);
  for (const [name, error] of options.damaged) fail(name, error);

  return {
    models,
    unavailable,
    hold: served.hold,
    editionOf: served.editionOf,
    async states() {
      const names = await modelNames(config.models).catch((): string[] => []);
      const all = new Set([...names, ...models.keys(), ...unavailable.keys()]);
      return [...all].sort().map((name): ModelState => {
        if (models.has(name)) return { name, state: 'ready', reason: '' };
        if (loading?.edition.manifest.name === name) return { name, state: 'loading', reason: '' };
        return { name, state: 'unavailable', reason: unavailable.get(name) ?? 'not loaded' };
      });
    },
    load: (name) =>
      inTurn(async () => {
        checkStarted(pool());
        const names = await modelNames(config.models).catch((): string[] => []);
        if (!MODEL_NAME.test(name) || !names.includes(name)) throw notThere(name, names);
        await take(name).catch((error: Error) => {
          if (error instanceof Problem) throw error;
          fail(name, error);
          const stays = models.has(name) ? '; the edition that was loaded before goes on being served' : '';
          throw new Problem('load-failed', `model ${name}: ${reasonOf(error)}${stays}`, { cause: error });
        });
      }),
    unload: (name) =>
      inTurn(async () => {
        if (name === defaultModel)
          throw new Problem('default-model', `${name} is the model that requests get which name none`);
        if (!models.has(name) && !unavailable.has(name)) throw notThere(name, [...models.keys()]);
        drop(name);
      }),
    refresh: () =>
      inTurn(async () => {
        checkStarted(pool());
        const names = await modelNames(config.models);
        for (const name of names) await take(name).catch((error: Error) => fail(name, error));
        for (const name of [...models.keys(), ...unavailable.keys()]) {
          if (names.includes(name)) continue;
          if (name === defaultModel) observer.model?.(name, 'kept', 'its folder is gone, and it is the default model');
          else drop(name);
        }
      }),
    spare(id, error) {
      if (loading?.edition.id === id) loading.failure = error;
      if (loading?.edition.id === id) return true;
      const edition = catalog.editions().find((known) => known.id === id);
      if (!edition) return true;
      const { name } = edition.manifest;
      if (pool().status().started || config.onModelError === 'exit' || name === defaultModel) return false;
      served.remove(name);
      fail(name, error);
      return true;
    },
  };
}

function checkStarted({ status }: Pick<Pool, 'status'>): void {
  if (!status().started) throw new Problem('not-ready', 'the models are still being loaded');
}

function notThere(name: string, names: readonly string[]): Problem {
  const whole = name.replace(/-inverse$/, '');
  const hint = names.includes(whole) ? `; the inverse of ${whole} is loaded and unloaded with ${whole}` : '';
  return new Problem(
    'unknown-model',
    `there is no model ${JSON.stringify(name.slice(0, 64))}; there is ${names.join(', ')}${hint}`,
  );
}

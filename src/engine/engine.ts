import { ModelError } from '../../export/model/folder.js';
import { isInvertible, type Manifest } from '../../export/model/manifest.js';
import { readModels } from '../../export/model/models-folder.js';
import type { Config } from '../common/config.js';
import { Problem } from '../common/problems.js';
import { type Admission, createAdmission } from './admission.js';
import type { Backend, Observer, OpenBackend } from './backend.js';
import { openLocal } from './local.js';
import { createPool, type Run, type Status } from './pool.js';
import { openRemote } from './remote/backend.js';
import { type SpawnWorker, spawnWorker } from './replica.js';

/** The models, and what runs them. */
export interface Engine {
  readonly models: ReadonlyMap<string, Manifest>;
  readonly defaultModel: string;
  readonly limits: Pick<Config, 'maxPixels' | 'maxImages' | 'maxSteps'>;
  readonly run: Run;
  /** Bounds the images of the service. `run` does not ask it: the command line accepts any number. */
  readonly admission: Admission;
  /** Resolves when every model is loaded and tested; rejects with the reason why one is not. */
  readonly ready: Promise<void>;
  status(): EngineStatus;
  readonly backend: Pick<Backend, 'kind' | 'devices' | 'arrangement'>;
  /** From now on the status is draining; jobs are run all the same. */
  drain(): void;
  close(): Promise<void>;
}

export interface EngineStatus extends Status {
  readonly draining: boolean;
}

export interface EngineOptions {
  /** The only model to load. */
  readonly only?: string | undefined;
  readonly observer?: Observer;
  /** Starts a worker thread. */
  readonly spawn?: SpawnWorker;
}

const backends: Readonly<Record<Config['backend'], OpenBackend>> = { local: openLocal, oip: openRemote };

/**
 * Reads the model folders and starts to load them: all, or only the one named.
 * @throws ModelError when a folder cannot be used; ExitError, SettingsError when nothing can run the models
 */
export async function openEngine(
  config: Config,
  { only, observer = {}, spawn = spawnWorker }: EngineOptions = {},
): Promise<Engine> {
  // Remote servers have the graphs and weights: here the manifests are enough.
  const models = await readModels(config.models, { only, files: config.backend === 'local' });
  const manifests = new Map(models.map(({ manifest }) => [manifest.name, manifest]));
  const defaultModel = only ?? config.model;
  if (!manifests.has(defaultModel)) {
    throw new ModelError(
      `the default model ${defaultModel} is not in ${config.models}; it has: ${[...manifests.keys()].join(', ')}`,
      'models-missing',
    );
  }
  const backend = await backends[config.backend](config, models, { observer, spawn });
  const pool = createPool({ ...backend, maxDelay: config.maxDelay }, observer);
  let draining = false;
  return {
    models: manifests,
    defaultModel,
    limits: config,
    run: pool.run,
    admission: createAdmission(config.maxQueue),
    ready: pool.ready,
    status: () => ({ draining, ...pool.status() }),
    backend,
    drain() {
      draining = true;
    },
    async close() {
      await pool.close();
      await backend.close?.();
    },
  };
}

/** The manifest of a model, or of the default one. @throws Problem unknown-model */
export function modelOf({ models, defaultModel }: Engine, name: string = defaultModel): Manifest {
  const manifest = models.get(name);
  if (manifest) return manifest;
  throw new Problem(
    'unknown-model',
    `there is no model ${JSON.stringify(name.slice(0, 64))}; there is ${[...models.keys()].join(', ')}`,
  );
}

/** The manifest of a model that has a Φ⁻¹. @throws Problem unknown-model, not-invertible */
export function invertibleOf(engine: Engine, name?: string): Manifest {
  const manifest = modelOf(engine, name);
  if (isInvertible(manifest)) return manifest;
  const others = [...engine.models.values()].filter(isInvertible).map((m) => m.name);
  throw new Problem(
    'not-invertible',
    `model ${manifest.name} is a ${manifest.architecture.name}, which throws information away and has no inverse; invertible here: ${others.join(', ') || 'none'}`,
  );
}

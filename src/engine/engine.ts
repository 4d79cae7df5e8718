import { ModelError } from '../../export/model/folder.js';
import { isInvertible, type Manifest } from '../../export/model/manifest.js';
import { type ModelsFolder, readModel, readModels } from '../../export/model/models-folder.js';
import type { Config } from '../common/config.js';
import { Problem } from '../common/problems.js';
import type { Work } from '../common/work.js';
import { type Admission, createAdmission } from './admission.js';
import type { Backend, Observer, OpenBackend } from './backend.js';
import { openLocal } from './local.js';
import { createPool, type Run, type Status } from './pool.js';
import { openRemote } from './remote/backend.js';
import { type SpawnWorker, spawnWorker } from './replica.js';
import { createRepository, type Repository } from './repository.js';

/** The models, and what runs them. */
export interface Engine {
  /** Those that are served now. */
  readonly models: ReadonlyMap<string, Manifest>;
  /** What is always served. */
  readonly defaultModel: string;
  /** Where the models lie, for what the graphs of the engine do not compute. */
  readonly folder: string;
  readonly repository: Pick<Repository, 'unavailable' | 'hold' | 'states' | 'load' | 'unload' | 'refresh'>;
  /** What clients may ask for. */
  readonly limits: Pick<Config, 'maxPixels' | 'maxImages' | 'maxSteps' | 'modelControlMode'>;
  readonly run: Run<Manifest>;
  /** Bounds the images of the service. `run` does not ask it: the command line accepts any number. */
  readonly admission: Admission;
  /** Resolves when the models are loaded and tested; rejects with the reason why one is not that must be. */
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
 * Reads the model folders and starts to load them: all, or only the one named. Models that cannot be used are left out,
 * but for the default one, unless the settings say otherwise.
 * @throws ModelError when a folder cannot be used that must be; ExitError, SettingsError when nothing can run the models
 */
export async function openEngine(
  config: Config,
  { only, observer = {}, spawn = spawnWorker }: EngineOptions = {},
): Promise<Engine> {
  const defaultModel = only ?? config.model;
  const { models, damaged } = await readFolder(config, only);
  const backend = await backends[config.backend](config, models, { observer, spawn });
  const repository = createRepository({ config, defaultModel, damaged, backend, observer, pool: () => pool });
  const pool = createPool({ ...backend, maxDelay: config.maxDelay, spare: repository.spare }, observer);
  let draining = false;
  return {
    models: repository.models,
    defaultModel,
    folder: config.models,
    repository,
    limits: config,
    run: async (job) => pool.run({ ...job, model: repository.editionOf(job.model) }),
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

/** @throws ModelError when there is no model that is wanted, or the default one cannot be used */
async function readFolder(config: Config, only: string | undefined): Promise<ModelsFolder> {
  // Remote servers have the graphs and weights: here the manifests are enough.
  const options = { files: config.backend === 'local' };
  if (only !== undefined)
    return { models: [await readModel(config.models, only, options)], damaged: new Map<string, ModelError>() };
  const found = await readModels(config.models, options);
  const [first] = found.damaged.values();
  if (first && config.onModelError === 'exit') throw first;
  if (found.models.some(({ manifest }) => manifest.name === config.model)) return found;
  const names = [...found.models.map(({ manifest }) => manifest.name), ...found.damaged.keys()].sort().join(', ');
  const missing = `the default model ${config.model} is not in ${config.models}; it has: ${names}`;
  throw found.damaged.get(config.model) ?? new ModelError(missing, 'models-missing');
}

/**
 * The manifest of a model, or of the default one.
 * @param work of the request: until it is over, this edition of the model stays loaded
 * @throws Problem unknown-model, model-unavailable
 */
export function modelOf(engine: Engine, name: string = engine.defaultModel, work?: Work): Manifest {
  const manifest = engine.models.get(name);
  if (!manifest) throw absent(engine, name);
  work?.finally?.(engine.repository.hold(manifest));
  return manifest;
}

/** Why there is no such model. */
export function absent({ models, repository }: Engine, name: string): Problem {
  const reason = repository.unavailable.get(name);
  if (reason !== undefined) return new Problem('model-unavailable', `model ${name} cannot be served: ${reason}`);
  const names = [...models.keys()].join(', ');
  return new Problem('unknown-model', `there is no model ${JSON.stringify(name.slice(0, 64))}; there is ${names}`);
}

/**
 * The manifest of a model that has a Φ⁻¹.
 * @param work as for `modelOf`
 * @throws Problem unknown-model, model-unavailable, not-invertible
 */
export function invertibleOf(engine: Engine, name?: string, work?: Work): Manifest {
  const manifest = modelOf(engine, name, work);
  if (isInvertible(manifest)) return manifest;
  const others = [...engine.models.values()].filter(isInvertible).map((m) => m.name);
  throw new Problem(
    'not-invertible',
    `model ${manifest.name} is a ${manifest.architecture.name}, which throws information away and has no inverse; invertible here: ${others.join(', ') || 'none'}`,
  );
}

import { Worker } from 'node:worker_threads';
import type { SpawnWorker } from '../../src/engine/replica.js';

/** Spawns workers of which the first ones have a fate each; the others live. */
export const mortal = (fates: readonly string[]): SpawnWorker => {
  const left = [...fates];
  // Without the module loaders of the test runner, which would take more time than the worker itself.
  return (settings) =>
    new Worker(new URL('./mortal-worker.js', import.meta.url), {
      workerData: { ...settings, fate: left.shift() },
      execArgv: [],
    });
};

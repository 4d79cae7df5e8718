import { Worker } from 'node:worker_threads';
import type { Spawn } from '../../src/engine/member.js';

/** Starts workers of which the first ones have a fate each; the others live. */
export const mortal = (fates: readonly string[]): Spawn => {
  const left = [...fates];
  return (settings) =>
    new Worker(new URL('./mortal-worker.js', import.meta.url), { workerData: { ...settings, fate: left.shift() } });
};

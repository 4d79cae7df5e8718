import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildNetwork, type Network } from '../architectures/index.js';
import { openSession } from '../runtime.js';
import type { NamedTensors } from '../train/packing.js';
import { readModelFolder } from './folder.js';
import { emitInline, forwardGraph, inverseGraph, networkParameters } from './graphs.js';
import type { Manifest } from './manifest.js';
import type { Graphs } from './measure.js';
import { readWeights, WEIGHTS_FILE } from './weights.js';

/** A model folder read back: its manifest, the network that its configuration describes, and its weights. */
export interface Model {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly network: Network;
  readonly weights: NamedTensors;
}

/** Reads and checks a model folder. @throws ModelError, ConfigError */
export async function openModel(folder: string): Promise<Model> {
  const manifest = await readModelFolder(folder);
  const network = buildNetwork(manifest.architecture.name, manifest.architecture.config);
  const weights = readWeights(networkParameters(network), await readFile(join(folder, WEIGHTS_FILE)));
  return { folder, manifest, network, weights };
}

/** The same network with another grid, or with plain floats. */
export const withGrid = ({ manifest }: Model, grid: number | null): Network =>
  buildNetwork(manifest.architecture.name, { ...manifest.architecture.config, grid });

/** Loads the two graphs as they lie in the folder. */
export const openGraphs = async ({ folder }: Model, threads: number): Promise<Graphs> => ({
  forward: await openSession(join(folder, 'forward.onnx'), { threads }),
  inverse: await openSession(join(folder, 'inverse.onnx'), { threads }),
});

/** Builds the two graphs of a network afresh, in memory. */
export const buildGraphs = async (network: Network, weights: NamedTensors, threads: number): Promise<Graphs> => ({
  forward: await openSession(emitInline(forwardGraph(network), weights), { threads }),
  inverse: await openSession(emitInline(inverseGraph(network), weights), { threads }),
});

export async function closeGraphs({ forward, inverse }: Graphs): Promise<void> {
  await forward.release();
  await inverse.release();
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { NamedTensors } from '../graph/tensor.js';
import { buildNetwork, type Network, type Specification, withGrid } from '../networks/index.js';
import { openSession } from '../runtime/session.js';
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
  const network = buildNetwork(specificationOf(manifest));
  const weights = await readWeights(networkParameters(network), join(folder, WEIGHTS_FILE));
  return { folder, manifest, network, weights };
}

/** What a manifest says of its network. */
export const specificationOf = ({ architecture: { name, config } }: Manifest): Specification => ({
  architecture: name,
  config,
});

/** The same network on another grid, or on plain floats. @throws ConfigError */
export const onGrid = ({ manifest }: Model, grid: number | null): Network =>
  buildNetwork(withGrid(specificationOf(manifest), grid));

/** Loads the graphs as they lie in a folder. */
export async function openGraphs(folder: string, threads: number): Promise<Graphs> {
  const inverse = join(folder, 'inverse.onnx');
  return {
    forward: await openSession(join(folder, 'forward.onnx'), { threads }),
    inverse: existsSync(inverse) ? await openSession(inverse, { threads }) : undefined,
  };
}

/** Builds the graphs of a network afresh, in memory. */
export async function buildGraphs(network: Network, weights: NamedTensors, threads: number): Promise<Graphs> {
  const inverse = inverseGraph(network);
  return {
    forward: await openSession(emitInline(forwardGraph(network), weights), { threads }),
    inverse: inverse && (await openSession(emitInline(inverse, weights), { threads })),
  };
}

export async function closeGraphs({ forward, inverse }: Graphs): Promise<void> {
  await forward.release();
  await inverse?.release();
}

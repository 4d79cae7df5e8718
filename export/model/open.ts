import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { NamedTensors } from '../graph/tensor.js';
import { buildNetwork, type Network, type Specification, withGrid } from '../networks/index.js';
import { openSession, type Session } from '../runtime/session.js';
import { readModelFolder } from './folder.js';
import { emitInline, forwardGraph, inverseGraph, networkParameters } from './graphs.js';
import type { Manifest } from './manifest.js';
import { readWeights, WEIGHTS_FILE } from './weights.js';

/** A model folder that was read: its manifest, the network of its configuration, and the network's weights. */
export interface Model {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly network: Network;
  readonly weights: NamedTensors;
}

/** Φ and Φ⁻¹ of a model, loaded. */
export interface Graphs {
  readonly forward: Session;
  /** undefined where the network cannot be inverted. */
  readonly inverse: Session | undefined;
}

/** Reads and checks a model folder. @throws ModelError, ConfigError */
export async function openModel(folder: string): Promise<Model> {
  const manifest = await readModelFolder(folder);
  const network = buildNetwork(specificationOf(manifest));
  const weights = await readWeights(networkParameters(network), join(folder, WEIGHTS_FILE));
  return { folder, manifest, network, weights };
}

/** The network that a manifest describes. */
export const specificationOf = ({ architecture: { name, config } }: Manifest): Specification => ({
  architecture: name,
  config,
});

/** The same network on another grid, or on plain floats. @throws ConfigError */
export const onGrid = ({ manifest }: Model, grid: number | null): Network =>
  buildNetwork(withGrid(specificationOf(manifest), grid));

/** Loads a graph of a model folder. @param name of its file, without ".onnx" */
export const openGraph = (folder: string, name: string, threads: number): Promise<Session> =>
  openSession(join(folder, `${name}.onnx`), { threads });

/** Loads Φ and Φ⁻¹ from the files of a model folder. */
export async function openGraphs(folder: string, threads: number): Promise<Graphs> {
  const invertible = existsSync(join(folder, 'inverse.onnx'));
  return {
    forward: await openGraph(folder, 'forward', threads),
    inverse: invertible ? await openGraph(folder, 'inverse', threads) : undefined,
  };
}

/** Builds and loads the graphs of a network in memory, without files. */
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

import { basename, join } from 'node:path';
import { version } from '../files/package.js';
import { emit } from '../graph/emit.js';
import type { Graph } from '../graph/graph.js';
import { buildNetwork, type Network, type Specification } from '../networks/index.js';
import { type Listed, writeFolder, writeListed } from './folder.js';
import { countTrained, forwardGraph, inverseGraph, networkParameters } from './graphs.js';
import { MANIFEST_FORMAT, type Manifest, type Measured } from './manifest.js';
import { externalWeights, WEIGHTS_FILE, type WeightSource, weightsLayout, weightsPieces } from './weights.js';

/** What a model is made of, apart from what can be derived. */
export interface ModelParts extends Specification {
  readonly description: string;
  readonly weights: WeightSource;
  readonly labels: readonly string[];
  readonly preprocessing: Manifest['preprocessing'];
  readonly training: Manifest['training'];
  /** Measures the model from its files, before it takes its place; what it throws, the model is refused with. */
  readonly measure?: (folder: string) => Promise<Measured>;
  readonly progress?: (bytes: number, total: number) => void;
}

/** The graphs of a network as files, whose weights lie in the shared weights file. */
export function graphFiles(network: Network): Readonly<Record<string, Uint8Array>> {
  const placement = externalWeights(weightsLayout(networkParameters(network)).slots);
  const files = (graphs: readonly Graph[]) =>
    Object.fromEntries(graphs.map((graph) => [`${graph.name}.onnx`, emit(graph, placement)]));
  const inverse = inverseGraph(network);
  return files(inverse ? [forwardGraph(network), inverse] : [forwardGraph(network)]);
}

/**
 * Writes a model folder: Φ, Φ⁻¹ if there is one, their shared weights and the manifest. The folder's name is the model's.
 * The same parts give the same bytes; an existing folder is replaced as a whole, and nothing is left of a failure.
 * @throws RangeError when there are not as many labels as classes; ConfigError
 */
export async function createModel(folder: string, parts: ModelParts): Promise<Manifest> {
  const network = buildNetwork(parts);
  if (parts.labels.length !== network.classes) {
    throw new RangeError(`${network.classes} classes need as many labels, got ${parts.labels.length}`);
  }
  const { height, width, channels, mean, std } = network.input;
  return writeFolder(folder, async (fresh) => {
    const files = await writeFiles(fresh, network, parts);
    const manifest: Manifest = {
      format: MANIFEST_FORMAT,
      name: basename(folder),
      description: parts.description,
      exporter: { name: 'irevnet', version },
      architecture: { name: parts.architecture, config: { ...parts.config }, parameters: countTrained(network) },
      grid: network.grid,
      input: { height, width, channels: channels as 1 | 3, mean: [...mean], std: [...std] },
      preprocessing: parts.preprocessing,
      labels: [...parts.labels],
      features: { shape: [...network.features] },
      files,
      training: parts.training,
      measured: (await parts.measure?.(fresh)) ?? null,
    };
    await writeListed(join(fresh, 'manifest.json'), [Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)]);
    return manifest;
  });
}

async function writeFiles(folder: string, network: Network, { weights, progress }: ModelParts) {
  const contents = {
    ...Object.fromEntries(Object.entries(graphFiles(network)).map(([name, bytes]) => [name, [bytes]])),
    [WEIGHTS_FILE]: weightsPieces(networkParameters(network), weights, progress),
  };
  const files: Record<string, Listed> = {};
  for (const [name, pieces] of Object.entries(contents)) files[name] = await writeListed(join(folder, name), pieces);
  return files as Manifest['files'];
}

import { basename, join } from 'node:path';
import { version } from '../files/package.js';
import { type Listed, writeFolder, writeListed } from '../files/write.js';
import { emit } from '../graph/emit.js';
import type { Graph } from '../graph/graph.js';
import { buildNetwork, type Network, type Specification } from '../networks/index.js';
import type { Preprocessing } from '../networks/preprocessing.js';
import { checkManifest, readModelFolder } from './folder.js';
import { countTrained, forwardGraph, graphParameters, inverseGraph } from './graphs.js';
import { MANIFEST_FILE, MANIFEST_FORMAT, type Manifest, type Measured } from './manifest.js';
import { externalWeights, WEIGHTS_FILE, type WeightSource, weightsLayout, weightsPieces } from './weights.js';

/** What a model is made of, apart from what follows from it. */
export interface ModelParts extends Specification {
  readonly description: string;
  /** Of all graphs, those of variants too. */
  readonly weights: WeightSource;
  readonly labels: readonly string[];
  readonly preprocessing: Preprocessing;
  readonly training: Manifest['training'];
  /** Graphs beside Φ and Φ⁻¹, such as `forward-int8`: named after the graph whose inputs and outputs they have. */
  readonly variants?: readonly Graph[];
  /** Measures the files of the model before they replace an older model; when it throws, the older one stays. */
  readonly measure?: (folder: string) => Promise<Measured>;
  readonly progress?: (bytes: number, total: number) => void;
}

/** Φ, Φ⁻¹ where there is one, and the variants. */
function graphsOf(network: Network, variants: readonly Graph[]): Graph[] {
  const inverse = inverseGraph(network);
  return [forwardGraph(network), ...(inverse ? [inverse] : []), ...variants];
}

/** The graphs of a network as the bytes of .onnx files, by name of the file; they refer to one file of weights. */
export function graphFiles(network: Network, variants: readonly Graph[] = []): Readonly<Record<string, Uint8Array>> {
  const graphs = graphsOf(network, variants);
  const dataOf = externalWeights(weightsLayout(graphParameters(graphs)).slots);
  return Object.fromEntries(graphs.map((graph) => [`${graph.name}.onnx`, emit(graph, dataOf)]));
}

/** The entry of a file that is not written yet. */
const UNWRITTEN: Listed = { bytes: 0, sha256: '0'.repeat(64) };

/**
 * Writes a model folder: Φ, Φ⁻¹ where there is one, variants, their weights and the manifest. The folder's name is that of
 * the model. The same parts give the same bytes. The manifest is checked before anything is written, and the folder is read
 * back before it takes its place. An existing folder is replaced as a whole; after an error it stays.
 * @throws RangeError when the number of labels is not that of the classes; ConfigError; ModelError when nothing could read
 *   the model
 */
export async function createModel(folder: string, parts: ModelParts): Promise<Manifest> {
  const network = buildNetwork(parts);
  if (parts.labels.length !== network.classes) {
    throw new RangeError(`${network.classes} classes need as many labels, got ${parts.labels.length}`);
  }
  const files = { 'forward.onnx': UNWRITTEN, [WEIGHTS_FILE]: UNWRITTEN };
  const described = { ...describe(basename(folder), network, parts), files, measured: null };
  checkManifest(described, join(folder, MANIFEST_FILE));
  return writeFolder(folder, async (fresh) => {
    const files = await writeFiles(fresh, network, parts);
    const manifest: Manifest = { ...described, files, measured: (await parts.measure?.(fresh)) ?? null };
    await writeListed(join(fresh, MANIFEST_FILE), [Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)]);
    return readModelFolder(fresh);
  });
}

const describe = (name: string, network: Network, parts: ModelParts): Omit<Manifest, 'files' | 'measured'> => {
  return {
    format: MANIFEST_FORMAT,
    name,
    description: parts.description,
    exporter: { name: 'irevnet', version },
    architecture: { name: parts.architecture, config: { ...parts.config }, parameters: countTrained(network) },
    grid: network.grid,
    input: manifestInput(network),
    preprocessing: parts.preprocessing,
    labels: [...parts.labels],
    features: { shape: [...network.features] },
    training: parts.training,
  };
};

/** What a manifest says of a network's input. */
export function manifestInput({ input: { height, width, channels, mean, std } }: Network): Manifest['input'] {
  return { height, width, channels: channels as 1 | 3, mean: [...mean], std: [...std] };
}

async function writeFiles(folder: string, network: Network, parts: ModelParts): Promise<Manifest['files']> {
  const { variants = [], weights, progress } = parts;
  const parameters = graphParameters(graphsOf(network, variants));
  const contents = {
    ...Object.fromEntries(Object.entries(graphFiles(network, variants)).map(([name, bytes]) => [name, [bytes]])),
    [WEIGHTS_FILE]: weightsPieces(parameters, weights, progress),
  };
  const files: Record<string, Listed> = {};
  for (const [name, chunks] of Object.entries(contents)) files[name] = await writeListed(join(folder, name), chunks);
  return files as Manifest['files'];
}

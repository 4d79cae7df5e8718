import { basename } from 'node:path';
import { buildNetwork, type Network } from '../architectures/index.js';
import { emit } from '../emit.js';
import { sha256 } from '../files.js';
import { version } from '../package.js';
import type { NamedTensors } from '../train/packing.js';
import { writeFolder } from './folder.js';
import { countTrained, forwardGraph, inverseGraph, networkParameters } from './graphs.js';
import { MANIFEST_FORMAT, type Manifest } from './manifest.js';
import { externalWeights, WEIGHTS_FILE, weightsLayout, writeWeights } from './weights.js';

/** What a model is made of, apart from what can be derived. */
export interface ModelParts {
  readonly description: string;
  readonly architecture: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: NamedTensors;
  readonly labels: readonly string[];
  readonly preprocessing: Manifest['preprocessing'];
  readonly training: Manifest['training'];
  readonly measured: Manifest['measured'];
}

/** The two graphs of a network as files, whose weights lie in the shared weights file. */
export function graphFiles(network: Network): Record<'forward.onnx' | 'inverse.onnx', Uint8Array> {
  const placement = externalWeights(weightsLayout(networkParameters(network)).slots);
  return {
    'forward.onnx': emit(forwardGraph(network), placement),
    'inverse.onnx': emit(inverseGraph(network), placement),
  };
}

/**
 * Writes a model folder: Φ, Φ⁻¹, their shared weights and the manifest. The folder's name is the model's. The same parts
 * give the same bytes; an existing folder is replaced as a whole.
 */
export async function createModel(folder: string, parts: ModelParts): Promise<Manifest> {
  const network = buildNetwork(parts.architecture, parts.config);
  if (parts.labels.length !== network.classes) {
    throw new RangeError(`${network.classes} classes need as many labels, got ${parts.labels.length}`);
  }
  const files = {
    ...graphFiles(network),
    [WEIGHTS_FILE]: writeWeights(networkParameters(network), parts.weights),
  } as Record<keyof Manifest['files'], Uint8Array>;
  const { height, width, channels, mean, std } = network.input;
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
    files: {
      'forward.onnx': described(files['forward.onnx']),
      'inverse.onnx': described(files['inverse.onnx']),
      'weights.bin': described(files['weights.bin']),
    },
    training: parts.training,
    measured: parts.measured,
  };
  await writeFolder(folder, { ...files, 'manifest.json': `${JSON.stringify(manifest, null, 2)}\n` });
  return manifest;
}

const described = (data: Uint8Array) => ({ bytes: data.length, sha256: sha256(data) });

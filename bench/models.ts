import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seeded } from '../export/data/random.js';
import type { Parameter } from '../export/graph/graph.js';
import type { Tensor } from '../export/graph/tensor.js';
import { createModel } from '../export/model/create.js';
import { readModelFolder } from '../export/model/folder.js';
import { networkParameters } from '../export/model/graphs.js';
import { specificationOf } from '../export/model/open.js';
import { WEIGHTS_FILE, weightsLayout } from '../export/model/weights.js';
import type { Configuration } from '../export/networks/configurations.js';
import { buildNetwork } from '../export/networks/index.js';
import { initialise } from '../export/train/initialise.js';

/** Debian's python3-torch, or a Python that has PyTorch. */
export const python = process.env.PYTHON ?? '/usr/bin/python3';

/** A folder that is there while it is used. */
export async function* withFolder<T>(use: (folder: string) => AsyncIterable<T>): AsyncGenerator<T> {
  const folder = await mkdtemp(join(tmpdir(), 'irevnet-bench-'));
  try {
    yield* use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Writes a model of random weights, always the same. */
export async function randomModel(folder: string, configuration: Configuration): Promise<void> {
  const network = buildNetwork(configuration);
  await createModel(folder, {
    ...configuration,
    weights: randomWeights(networkParameters(network)),
    labels: Array.from({ length: network.classes }, (_, i) => `class ${i}`),
    training: null,
  });
}

/** First weights whose norms are no identities, so that a mistake in them would show in the logits. */
function randomWeights(parameters: readonly Parameter[]): Map<string, Tensor<'float32'>> {
  const random = seeded(3);
  const weights = initialise(parameters, seeded(1));
  for (const { source } of parameters.filter((p) => p.source.role.init !== 'fan-in')) {
    const { data } = weights.get(source.name)!;
    for (let i = 0; i < data.length; i++) data[i]! += 0.2 * random() - 0.1;
  }
  return weights;
}

/** What `irevnet_torch.py` needs to run the network of a model folder with its weights. */
export async function torchSettings(folder: string) {
  const manifest = await readModelFolder(folder);
  const parameters = networkParameters(buildNetwork(specificationOf(manifest)));
  const { slots } = weightsLayout(parameters);
  const shapes = parameters.map(({ source, type: { shape } }) => [source.name, { ...slots.get(source.name), shape }]);
  return {
    config: manifest.architecture.config,
    weights: { file: join(folder, WEIGHTS_FILE), slots: Object.fromEntries(shapes) },
  };
}

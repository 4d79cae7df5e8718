import { dirname, join } from 'node:path';
import { seeded } from '../export/data/random.js';
import { packagePath } from '../export/files/package.js';
import type { Parameter } from '../export/graph/graph.js';
import type { Tensor } from '../export/graph/tensor.js';
import { createModel } from '../export/model/create.js';
import { networkParameters } from '../export/model/graphs.js';
import { type Configuration, configurations } from '../export/networks/configurations.js';
import { buildNetwork } from '../export/networks/index.js';
import { initialise } from '../export/train/initialise.js';
import { fashionImages, photographs } from './pictures.js';
import { post, type Request } from './requests.js';
import { temporaryFolder } from './server.js';

/** A model under load, and what it is asked. */
export interface Subject {
  readonly name: string;
  /** The model's folder; the folder above holds no other model, or the shipped ones. */
  readonly folder: string;
  /** Flags of `serve`. */
  readonly flags: readonly string[];
  /** Image files, all different. */
  readonly images: readonly Uint8Array[];
  /** `POST /classify` of each image. */
  readonly requests: readonly Request[];
  /** Batch sizes worth trying. */
  readonly batches: readonly number[];
  /** Seconds of a measurement. */
  readonly seconds: number;
}

interface Kind {
  /** The configuration of a model with random weights; none for a model that is shipped. */
  readonly random?: Configuration;
  readonly type: string;
  images(): Promise<Uint8Array[]>;
  readonly batches: readonly number[];
  readonly seconds: number;
}

const shipped = configurations['fashion-mnist']!;
const tiny = { ...shipped.config, blocks: [1], strides: [1], widths: [2], hidden: [1], kernels: [1, 1, 1] };
const small = { type: 'image/png', images: fashionImages, batches: [1, 2, 4, 8, 16, 32, 64], seconds: 5 };

const kinds: Readonly<Record<string, Kind>> = {
  'fashion-mnist': small,
  'irevnet-b': {
    random: configurations['irevnet-b']!,
    type: 'image/jpeg',
    images: () => photographs(8, 224),
    batches: [1, 2, 4, 8],
    seconds: 10,
  },
  // One small block: what remains is the time that a request spends in the service.
  tiny: { ...small, random: { ...shipped, description: 'one small block', config: tiny } as Configuration },
};

/** The names of all subjects. */
export const subjects = Object.keys(kinds);

/** Flags of the command line. */
export interface Choice {
  /** Seconds of each measurement, instead of the subject's own. */
  readonly seconds?: number | undefined;
  /** The only subject. */
  readonly model?: string | undefined;
}

/** Measures each of these subjects, or only the chosen one, and names it in every line. */
export async function* eachSubject(
  { seconds, model }: Choice,
  names: readonly string[],
  measure: (subject: Subject) => AsyncIterable<object>,
): AsyncGenerator<object> {
  for (const name of names.filter((n) => model === undefined || n === model)) {
    const kind = kinds[name]!;
    await using temporary = await temporaryFolder();
    const folder = kind.random ? join(temporary.path, name) : packagePath('onnx', name);
    if (kind.random) await randomModel(folder, kind.random);
    const images = await kind.images();
    const subject = {
      name,
      folder,
      flags: ['--models', dirname(folder), '--model', name],
      images,
      requests: images.map((image) => post('/classify', kind.type, image)),
      batches: kind.batches,
      seconds: seconds ?? kind.seconds,
    };
    for await (const line of measure(subject)) yield { model: name, ...line };
  }
}

/** Writes a model with random weights, the same each time. */
export async function randomModel(folder: string, configuration: Configuration): Promise<void> {
  const network = buildNetwork(configuration);
  await createModel(folder, {
    ...configuration,
    weights: randomWeights(networkParameters(network)),
    labels: Array.from({ length: network.classes }, (_, i) => `class ${i}`),
    training: null,
  });
}

/** Initial weights; those of norms are changed, so that they are no identities and a mistake in them shows in the logits. */
export function randomWeights(parameters: readonly Parameter[]): Map<string, Tensor<'float32'>> {
  const random = seeded(3);
  const weights = initialise(parameters, seeded(1));
  for (const { source } of parameters.filter((p) => p.source.role.init !== 'fan-in')) {
    const { data } = weights.get(source.name)!;
    for (let i = 0; i < data.length; i++) data[i]! += 0.2 * random() - 0.1;
  }
  return weights;
}

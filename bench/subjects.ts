import { join } from 'node:path';
import { packagePath } from '../export/files/package.js';
import { type Configuration, configurations } from '../export/networks/configurations.js';
import type { Request } from './load.js';
import { randomModel, withFolder } from './models.js';
import { fashionImages, photographs } from './pictures.js';

/** A model under load, and what is asked of it. */
export interface Subject {
  readonly name: string;
  /** The folder of its model, in a folder of models that has no other. */
  readonly folder: string;
  /** Of the command `serve`. */
  readonly flags: readonly string[];
  /** Different images, as files. */
  readonly images: readonly Uint8Array[];
  /** Each of them to be classified. */
  readonly requests: readonly Request[];
  /** Batch sizes worth trying. */
  readonly batches: readonly number[];
  /** Seconds that a measurement takes. */
  readonly seconds: number;
}

interface Kind {
  /** The model that a folder gets, or the one that ships. */
  readonly made: Configuration | 'shipped';
  readonly type: string;
  images(): Promise<Uint8Array[]>;
  readonly batches: readonly number[];
  readonly seconds: number;
}

const shipped = configurations['fashion-mnist']!;

/** One block of few channels at 28 × 28: what is left is the way of a request through the service. */
const tiny = {
  ...shipped,
  description: 'next to nothing',
  config: { ...shipped.config, blocks: [1], strides: [1], widths: [2], hidden: [1], kernels: [1, 1, 1] },
} as Configuration;

const small = { type: 'image/png', images: fashionImages, batches: [1, 2, 4, 8, 16, 32, 64], seconds: 5 };

/** Every model that is measured: the one that ships, one for ImageNet with random weights, and next to none. */
const kinds: Readonly<Record<string, Kind>> = {
  'fashion-mnist': { made: 'shipped', ...small },
  'irevnet-b': {
    made: configurations['irevnet-b']!,
    type: 'image/jpeg',
    images: () => photographs(8, 224),
    batches: [1, 2, 4, 8],
    seconds: 10,
  },
  tiny: { made: tiny, ...small },
};
export const subjects = Object.keys(kinds);

/** What the command line may say of a benchmark under load. */
export interface Choice {
  /** Of each measurement, instead of the subject's own. */
  readonly seconds?: number | undefined;
  /** The only model. */
  readonly model?: string | undefined;
}

/** Uses each subject that is chosen, one after the other, and names it in every line. */
export async function* eachSubject(
  { seconds, model }: Choice,
  names: readonly string[],
  use: (subject: Subject) => AsyncIterable<object>,
): AsyncGenerator<object> {
  for (const name of names.filter((n) => model === undefined || n === model)) {
    const kind = kinds[name]!;
    const images = await kind.images();
    const lines = withModel(name, kind, (folder) =>
      use({
        name,
        folder,
        flags: ['--models', join(folder, '..'), '--model', name],
        images,
        requests: images.map((body) => ({ path: '/classify', headers: { 'content-type': kind.type }, body })),
        batches: kind.batches,
        seconds: seconds ?? kind.seconds,
      }),
    );
    for await (const line of lines) yield { model: name, ...line };
  }
}

async function* withModel(
  name: string,
  { made }: Kind,
  use: (folder: string) => AsyncIterable<object>,
): AsyncGenerator<object> {
  if (made === 'shipped') return yield* use(packagePath('onnx', name));
  yield* withFolder(async function* (models) {
    await randomModel(join(models, name), made);
    yield* use(join(models, name));
  });
}

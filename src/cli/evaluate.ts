import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import type { Images } from '../../export/data/images.js';
import { datasets, loadFor } from '../../export/data/index.js';
import { noiseImages } from '../../export/data/noise.js';
import type { Inversion } from '../../export/model/manifest.js';
import { measure } from '../../export/model/measure.js';
import { buildGraphs, closeGraphs, type Model, onGrid, openGraphs, openModel } from '../../export/model/open.js';
import { modelFolder, modelsOption } from './models-folder.js';
import { whole } from './numbers.js';

interface Flags {
  readonly models?: string;
  readonly dataset?: string;
  readonly data?: string;
  readonly noise: number;
  readonly grid?: number;
  readonly encodeBatch: number;
  readonly decodeBatch: number;
  readonly threads: number;
}

/** `irevnet evaluate`: accuracy and inversion figures of a model, as JSON. */
export const evaluateCommand = new Command('evaluate')
  .description('print accuracy and inversion figures on the test images, as JSON')
  .argument('<model>', 'name of the model')
  .addOption(modelsOption())
  .addOption(
    new Option('--dataset <name>', 'whose test images (default: what the model was trained on)').choices(
      Object.keys(datasets),
    ),
  )
  .option('--data <folder>', 'where the data set lies (default: where Debian installs it)')
  .option('--noise <n>', 'measure inversion on n images of noise instead', whole(0), 0)
  .option('--grid <k>', 'rebuild the graphs with streams on multiples of 2^-k; 0: plain floats', whole(0))
  .option('--encode-batch <n>', 'images encoded at a time', whole(1), 100)
  .option('--decode-batch <n>', 'features decoded at a time', whole(1), 64)
  .option('--threads <n>', 'threads', whole(1), availableParallelism())
  .action(async (name: string, flags: Flags) => {
    process.stdout.write(`${JSON.stringify(await evaluate(name, flags))}\n`);
  });

/** What `irevnet evaluate` prints. */
export interface Evaluation {
  readonly model: string;
  readonly images: number;
  /** null on noise. */
  readonly accuracy: number | null;
  /** null where there is no inverse. */
  readonly inversion: Inversion | null;
}

/** Measures a model on test images or on noise. @throws ModelError, DatasetError */
export async function evaluate(name: string, flags: Flags): Promise<Evaluation> {
  const model = await openModel(modelFolder(flags.models, name));
  const noisy = flags.noise > 0;
  const images = noisy ? noiseImages(flags.noise, model.network.input, 1) : await testImages(model, flags);
  const graphs =
    flags.grid === undefined
      ? await openGraphs(model.folder, flags.threads)
      : await buildGraphs(onGrid(model, flags.grid === 0 ? null : flags.grid), model.weights, flags.threads);
  const batches = { encode: flags.encodeBatch, decode: flags.decodeBatch };
  const progress = (done: number) =>
    process.stderr.isTTY && process.stderr.write(`\r${done} of ${images.count} images`);
  const { correct, inversion } = await measure(graphs, images, batches, progress);
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  await closeGraphs(graphs);
  return { model: name, images: images.count, accuracy: noisy ? null : correct / images.count, inversion };
}

function testImages({ manifest, network }: Model, { dataset, data }: Flags): Promise<Images> {
  const name = dataset ?? manifest.training?.dataset;
  if (typeof name === 'string') return loadFor(network, name, 'test', data);
  throw new Error(
    `${manifest.name} was not trained on a data set; name one with --dataset, or measure its inversion with --noise`,
  );
}

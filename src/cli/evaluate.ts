import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import { datasets } from '../../export/data/datasets.js';
import { noiseImages } from '../../export/data/noise.js';
import { measure } from '../../export/model/measure.js';
import { buildGraphs, closeGraphs, onGrid, openGraphs, openModel } from '../../export/model/open.js';
import { modelFolder, modelsOption } from './models-folder.js';
import { whole } from './numbers.js';

interface Flags {
  models?: string;
  dataset: string;
  data?: string;
  noise: number;
  grid?: number;
  encodeBatch: number;
  decodeBatch: number;
  threads: number;
}

/** `irevnet evaluate`: accuracy and inversion figures of a model, as JSON. */
export const evaluateCommand = new Command('evaluate')
  .description('print accuracy and inversion figures on the test images, as JSON')
  .argument('<model>', 'name of the model')
  .addOption(modelsOption())
  .addOption(
    new Option('--dataset <name>', 'whose test images').choices(Object.keys(datasets)).default('fashion-mnist'),
  )
  .option('--data <folder>', 'where the data set lies (default: where Debian installs it)')
  .option('--noise <n>', 'measure inversion on n images of noise instead', whole(0), 0)
  .option('--grid <k>', 'rebuild the graphs with streams on multiples of 2^-k; 0: plain floats', whole(0))
  .option('--encode-batch <n>', 'images encoded at a time', whole(1), 100)
  .option('--decode-batch <n>', 'features decoded at a time', whole(1), 64)
  .option('--threads <n>', 'threads', whole(1), availableParallelism())
  .action(async (name: string, flags: Flags) => {
    const model = await openModel(modelFolder(flags.models, name));
    const dataset = datasets[flags.dataset]!;
    const noisy = flags.noise > 0;
    const images = noisy
      ? noiseImages(flags.noise, model.network.input, 1)
      : await dataset.load(flags.data ?? dataset.folder, 'test');
    const graphs =
      flags.grid === undefined
        ? await openGraphs(model.folder, flags.threads)
        : await buildGraphs(onGrid(model, flags.grid === 0 ? null : flags.grid), model.weights, flags.threads);
    const progress = (done: number) =>
      process.stderr.isTTY && process.stderr.write(`\r${done} of ${images.count} images`);
    const { correct, inversion } = await measure(
      graphs,
      images,
      { encode: flags.encodeBatch, decode: flags.decodeBatch },
      progress,
    );
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    await closeGraphs(graphs);
    const accuracy = noisy ? null : correct / images.count;
    process.stdout.write(`${JSON.stringify({ model: name, images: images.count, accuracy, inversion })}\n`);
  });

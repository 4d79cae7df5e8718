import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { type Dataset, DatasetError, knownDatasets, type Part } from '../../export/data/index.js';
import { noiseImages } from '../../export/data/noise.js';
import { type ImageSource, inMemory } from '../../export/data/source.js';
import { wilson } from '../../export/model/interval.js';
import type { Manifest } from '../../export/model/manifest.js';
import { type Batches, gainfulBatches, type Measurement, measure } from '../../export/model/measure.js';
import { buildGraphs, closeGraphs, type Model, onGrid, openGraphs, openModel } from '../../export/model/open.js';
import { addDataOptions, contentFor, type DataFlags, say, withData, withImages } from './data.js';
import { type Evaluation, evaluationTable, type Share } from './evaluation.js';
import { modelFolder, modelsOption } from './models-folder.js';
import { whole } from './numbers.js';
import { countProgress } from './progress.js';

export interface EvaluateFlags extends DataFlags {
  readonly models?: string;
  readonly part?: Part;
  readonly noise: number;
  readonly grid?: number;
  readonly encodeBatch?: number;
  readonly decodeBatch?: number;
  readonly threads: number;
}

/** `irevnet evaluate`: accuracy and inversion figures of a model, as a table or as JSON. */
export const evaluateCommand = addDataOptions(
  new Command('evaluate')
    .description('print accuracy, the classes that are confused, and inversion figures on test images')
    .argument('<model>', 'name of the model')
    .addOption(modelsOption()),
)
  .option('--labels <file>', 'names of the classes of the data, or lines of a class and its name')
  .option('--part <part>', 'train, test or all (default: test; all of data without parts that the model has not seen)')
  .option('--noise <n>', 'measure inversion on n images of noise instead', whole(0), 0)
  .option('--grid <k>', 'rebuild the graphs with streams on multiples of 2^-k; 0: plain floats', whole(0))
  .option('--encode-batch <n>', 'images encoded at a time (default: 100, fewer of large ones)', whole(1))
  .option('--decode-batch <n>', 'features decoded at a time (default: 64, fewer of large ones)', whole(1))
  .option('--threads <n>', 'threads', whole(1), availableParallelism())
  .option('--json', 'print the figures as JSON', false)
  .action(async (name: string, flags: EvaluateFlags & { json: boolean }) => {
    const evaluation = await evaluate(name, flags);
    process.stdout.write(flags.json ? `${JSON.stringify(evaluation)}\n` : evaluationTable(evaluation));
  });

/** Most unreadable images that are named. */
const NAMED = 10;

/** Measures a model on images of a data set or on noise. @throws ModelError, DatasetError */
export async function evaluate(name: string, flags: EvaluateFlags): Promise<Evaluation> {
  const model = await openModel(modelFolder(flags.models, name));
  if (flags.noise > 0) {
    const measured = await run(model, inMemory(noiseImages(flags.noise, model.network.input, 1)), flags);
    return { ...unlabelled, ...figures(name, measured) };
  }
  return withData(flags, usualData(model.manifest, flags), async (dataset) => {
    const part = partOf(dataset, model.manifest, flags.part);
    const content = await contentFor(dataset, part, model.manifest.labels);
    return withImages(content, model.manifest, flags, async (images) => {
      const measured = await run(model, images, flags);
      const { labels } = model.manifest;
      const { name: data, path, format } = dataset;
      return {
        ...figures(name, measured),
        data: { name: data, path, format, part },
        unreadable: { images: images.unreadable.length, first: images.unreadable.slice(0, NAMED) },
        accuracy: measured.correct / measured.images,
        top1: shareOf(measured.correct, measured.images),
        top5: labels.length > 5 ? shareOf(measured.amongFive, measured.images) : null,
        confusion: { labels, counts: rowsOf(measured.confusion, labels.length) },
      };
    });
  });
}

const unlabelled = {
  data: null,
  unreadable: { images: 0, first: [] },
  accuracy: null,
  top1: null,
  top5: null,
  confusion: null,
};

const shareOf = (images: number, of: number): Share => ({ images, share: images / of, interval: wilson(images, of) });

const rowsOf = (confusion: Uint32Array, classes: number): number[][] =>
  Array.from({ length: classes }, (_, i) => [...confusion.subarray(i * classes, (i + 1) * classes)]);

const figures = (model: string, { images, inversion, seconds }: Timed) => ({
  model,
  images,
  inversion,
  seconds: Number(seconds.toPrecision(4)),
  imagesPerSecond: Number((images / seconds).toPrecision(4)),
});

type Timed = Measurement & { readonly seconds: number };

/** Measures, and shows the progress. The seconds are those after the graphs are loaded. */
async function run(model: Model, source: ImageSource, flags: EvaluateFlags): Promise<Timed> {
  const graphs =
    flags.grid === undefined
      ? await openGraphs(model.folder, flags.threads)
      : await buildGraphs(onGrid(model, flags.grid === 0 ? null : flags.grid), model.weights, flags.threads);
  const usual = gainfulBatches(model.network.input);
  const batches: Batches = { encode: flags.encodeBatch ?? usual.encode, decode: flags.decodeBatch ?? usual.decode };
  const shown = countProgress(process.stderr, 'images');
  try {
    const start = performance.now();
    let [last, bad] = [0, 0];
    shown.begin(0, source.count);
    const measured = await measure(graphs, source, batches, (done) => {
      shown.step(done - last, source.unreadable.length - bad);
      [last, bad] = [done, source.unreadable.length];
    });
    return { ...measured, seconds: (performance.now() - start) / 1000 };
  } finally {
    shown.end();
    await closeGraphs(graphs);
  }
}

/** The known data set that the model was trained on, if any. @throws DatasetError when it is not clear what to measure on */
function usualData({ name, training }: Manifest, { dataset, data }: DataFlags): string | undefined {
  const own = typeof training?.dataset === 'string' ? training.dataset : undefined;
  if (dataset !== undefined || data !== undefined || (own !== undefined && Object.hasOwn(knownDatasets, own)))
    return own;
  if (own !== undefined) throw new DatasetError(`${name} was trained on ${own}; say where its images lie with --data`);
  throw new DatasetError(
    `${name} was not trained on a data set here; name images with --data, or measure its inversion with --noise`,
  );
}

/** The part that is measured. Of data without parts, a model has seen nine tenths if it was trained on such classes. */
function partOf({ split, parts }: Dataset, { training }: Manifest, said: Part | undefined): Part {
  if (said !== undefined) return said;
  if (split) return parts.includes('test') ? 'test' : parts[0]!;
  if (training !== null) {
    say('The model was trained here, so the tenth is measured that training sets aside; --part all says otherwise');
    return 'test';
  }
  say('All images are measured');
  return 'all';
}

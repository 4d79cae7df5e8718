import { type Static, Type } from 'typebox';
import type { Images } from '../../export/data/images.js';
import { sizeOf, tensor } from '../../export/graph/tensor.js';
import {
  bothClassifiers,
  Classified,
  intervals,
  type Labelled,
  standardisedBoth,
  tryNearest,
  trySvm,
} from './classifiers.js';
import type { Context } from './context.js';
import { depths, depthsOf } from './depths.js';
import { AnalysisError } from './errors.js';
import { experiment } from './experiment.js';
import { averagedFeatures } from './features.js';
import type { Figure } from './figure.js';
import { FOLDS } from './methods/svm.js';
import { linePanel, type Point, type Series } from './panel.js';
import { seed } from './statistics.js';
import { asTrained, rearranging, type Subject, untrained } from './subjects.js';

const options = Type.Object({
  depths,
  controls: Type.Boolean({ default: true, description: 'classify by ψ alone, random weights and raw pixels too' }),
  seed,
});
type Options = Static<typeof options>;

const AtDepth = Type.Object({
  depth: Type.Integer({ description: 'blocks; 0 is the state before the first one, after the initial ψ' }),
  dimensions: Type.Integer({ description: 'channels, averaged over places' }),
  ...Classified.properties,
});
type AtDepth = Static<typeof AtDepth>;

const result = Type.Object({
  model: Type.String(),
  data: Type.String(),
  train: Type.Integer({ description: 'images that the classifiers learned from' }),
  test: Type.Integer({ description: 'images that they were tried on' }),
  classes: Type.Integer(),
  intervals: Type.String(),
  depths: Type.Array(AtDepth),
  controls: Type.Union([
    Type.Object({
      rearranged: Type.Union([Type.Array(AtDepth), Type.Null()], {
        description:
          'ψ and the exchange of streams alone, without learned branches, at the last depth of each width; null where shortcuts are learned',
      }),
      randomWeights: Type.Array(AtDepth, { description: 'the same network with random weights' }),
      pixels: Type.Object({
        dimensions: Type.Integer(),
        svm: Type.Union([Classified.properties.svm, Type.Null()], {
          description: 'of standardised pixels; null where there are more than can be solved soon',
        }),
        nearestNeighbour: Classified.properties.nearestNeighbour,
      }),
    }),
    Type.Null(),
  ]),
});
type Result = Static<typeof result>;

/** How well classes are told apart by the features after every block. i-RevNet paper, its experiment on separability. */
export const separability = experiment({
  name: 'separability',
  title: 'Separability by depth',
  description:
    'features after every block, averaged over places and standardised: how many test images a linear SVM and the nearest training image classify correctly',
  needs: { data: 'train', labels: true },
  options,
  result,
  run,
  figure,
});

async function run(context: Context, { depths: wanted, controls, seed }: Options): Promise<Result> {
  const { model } = context;
  const data = context.data!;
  const train = data.train!;
  if (train.count < FOLDS)
    throw new AnalysisError(
      'too-few-images',
      `there are ${train.count} training images; expected at least ${FOLDS}, one for each part of the cross-validation`,
    );
  const chosen = depthsOf(model.network, wanted, 0);
  const measured = await byDepth(context, asTrained(model), 'separability', chosen);
  const ends = measured.filter(({ dimensions }, i) => dimensions !== measured[i + 1]?.dimensions).map((d) => d.depth);
  return {
    model: model.manifest.name,
    data: data.name,
    train: train.count,
    test: data.test.count,
    classes: data.classes!.length,
    intervals,
    depths: measured,
    controls: controls ? await controlsAt(context, ends, seed) : null,
  };
}

/** Both classifiers at some depths of a network. */
async function byDepth(context: Context, subject: Subject, stage: string, at: readonly number[]): Promise<AtDepth[]> {
  const [train, test] = [context.data!.train!, context.data!.test];
  const learned = await averagedFeatures(context, subject, train, `${stage}: training images`);
  const tried = await averagedFeatures(context, subject, test, `${stage}: test images`);
  const results: AtDepth[] = [];
  for (const depth of at) {
    context.progress(`${stage}: depths`, results.length, at.length);
    const rows = { train: await learned.at(depth), test: await tried.at(depth) };
    const classified = await bothClassifiers(
      context,
      { rows: rows.train, labels: train.labels },
      { rows: rows.test, labels: test.labels },
    );
    results.push({ depth, dimensions: learned.dimensions[depth]!, ...classified });
  }
  return results;
}

async function controlsAt(context: Context, at: readonly number[], seed: number): Promise<Result['controls']> {
  const bare = rearranging(context.model);
  return {
    rearranged: bare ? await byDepth(context, bare, 'ψ alone', at) : null,
    randomWeights: await byDepth(context, untrained(context.model, seed), 'random weights', at),
    pixels: await ofPixels(context),
  };
}

/** With more pixels, an SVM takes longer than all others together. */
const MOST_PIXELS = 1024;

/** Both classifiers on raw pixels. Distances are those of the pixels as they are. */
async function ofPixels(context: Context): Promise<NonNullable<Result['controls']>['pixels']> {
  const [train, test] = [labelledPixels(context.data!.train!), labelledPixels(context.data!.test)];
  const dimensions = train.rows.dims[1]!;
  context.progress('separability: raw pixels', 0, 1);
  return {
    dimensions,
    svm: dimensions <= MOST_PIXELS ? await trySvm(context, ...standardisedBoth(train, test)) : null,
    nearestNeighbour: await tryNearest(context, train, test),
  };
}

function labelledPixels({ count, height, width, channels, pixels, labels }: Images): Labelled {
  const size = sizeOf([height, width, channels]);
  return {
    rows: tensor(
      'float32',
      [count, size],
      Float32Array.from(pixels, (v) => v / 255),
    ),
    labels,
  };
}

function figure({ model, data, train, test, classes, depths, controls }: Result): Figure {
  const panel = (title: string, of: 'svm' | 'nearestNeighbour') => {
    const points = (list: readonly AtDepth[]): Point[] =>
      list.map((d) => ({ x: d.depth, y: d[of].accuracy, interval: d[of].interval as [number, number] }));
    const across = (y: number): Point[] => [depths[0]!, depths.at(-1)!].map(({ depth }) => ({ x: depth, y }));
    const pixels = controls?.pixels[of];
    const series: Series[] = [
      { name: model, colour: 0, points: points(depths) },
      ...(controls?.rearranged
        ? [{ name: 'ψ alone', colour: 1, control: true, points: points(controls.rearranged) }]
        : []),
      ...(controls
        ? [{ name: 'random weights', colour: 2, control: true, points: points(controls.randomWeights) }]
        : []),
      ...(pixels
        ? [{ name: 'raw pixels', colour: 6, control: true, plain: true, points: across(pixels.accuracy) }]
        : []),
      { name: 'chance', colour: 6, control: true, plain: true, points: across(1 / classes) },
    ];
    const y = { title: 'Accuracy on test images', format: '%', domain: [0, 1] as const };
    return linePanel({ title, x: { title: 'Depth (blocks)' }, y, series });
  };
  return {
    title: {
      text: 'How well classes are told apart by the features after each block',
      subtitle: `${model}, ${data}: ${train} training and ${test} test images; channels averaged over places, 95% intervals`,
    },
    hconcat: [panel('Linear SVM', 'svm'), panel('Nearest training image', 'nearestNeighbour')],
    spacing: 110,
  } as unknown as Figure;
}

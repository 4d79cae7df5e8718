import { type Static, Type } from 'typebox';
import { type Images, pixelsOf, slice } from '../../export/data/images.js';
import { rows as rowsOf } from '../../export/graph/rows.js';
import { sizeOf, type Tensor, tensor } from '../../export/graph/tensor.js';
import { runInSlices } from '../../export/runtime/slices.js';
import { Accuracy, accuracyOf, intervals } from './classifiers.js';
import { type Context, withGraph } from './context.js';
import { depths, depthsOf } from './depths.js';
import { AnalysisError } from './errors.js';
import { experiment } from './experiment.js';
import { averagedFeatures } from './features.js';
import type { Figure } from './figure.js';
import {
  classMoments,
  effectiveRanks,
  nearestMean,
  nearestWhitenedMean,
  separation,
  twoNearest,
  variancesOf,
  withinClass,
  withinOverBetween,
} from './methods/contraction.js';
import { linePanel, type Series } from './panel.js';
import { correlation } from './statistics.js';
import { asTrained, rearranging, type Subject } from './subjects.js';
import { batchFor, streamTaps, tapName } from './taps.js';

const options = Type.Object({
  depths,
  streams: Type.Integer({
    minimum: 10,
    default: 500,
    description: 'test images whose whole streams are looked at, as far as they fit into memory',
  }),
  neighbours: Type.Integer({
    minimum: 10,
    default: 5000,
    description: 'training images whose two nearest neighbours tell the intrinsic dimension of averaged features',
  }),
});
type Options = Static<typeof options>;

const shared = {
  dimensions: Type.Integer(),
  withinOverBetween: Type.Number({
    description: 'mean squared distance of two images of one class over that of two images of different classes',
  }),
  participationRatio: Type.Number({ description: 'effective rank (Σλ)²/Σλ² of the variances λ' }),
  entropyRank: Type.Number({ description: 'effective rank exp(−Σ p log p), p = λ/Σλ' }),
  intrinsicDimension: Type.Union([Type.Number(), Type.Null()], {
    description: 'TwoNN (Facco et al. 2017); null where too few images differ',
  }),
};

const result = Type.Object({
  model: Type.String(),
  data: Type.String(),
  train: Type.Integer({ description: 'images of the averaged features' }),
  test: Type.Integer({ description: 'images on which nearest means are tried' }),
  streamImages: Type.Integer({ description: 'test images of the streams' }),
  intervals: Type.String(),
  averaged: Type.Array(
    Type.Object({
      depth: Type.Integer(),
      ...shared,
      separation: Type.Number({ description: 'tr(Sw⁻¹ Sb), between-class over within-class covariance' }),
      nearestMean: Type.Object(Accuracy.properties, { description: 'test images nearest to the mean of their class' }),
      nearestWhitenedMean: Type.Object(Accuracy.properties, { description: 'the same after whitening by Sw' }),
    }),
    { description: 'channels averaged over places' },
  ),
  streams: Type.Array(
    Type.Object({
      depth: Type.Integer(),
      ...shared,
      correlation: Type.Union([Type.Number(), Type.Null()], {
        description:
          'of the state with that of ψ and the exchange of streams alone, over all numbers: 1 where the blocks only rearrange the input; null where shortcuts are learned',
      }),
    }),
    { description: 'every number of both streams' },
  ),
});
type Result = Static<typeof result>;

/** How distances and variance change with depth. i-RevNet paper, its experiments on contraction. */
export const contraction = experiment({
  name: 'contraction',
  title: 'Contraction by depth',
  description:
    'distances within and between classes, effective rank and intrinsic dimension after every block, on averaged channels and on whole streams; how far Φ is from a rearrangement of pixels',
  needs: { data: 'train', labels: true },
  options,
  result,
  run,
  figure,
});

async function run(context: Context, options: Options): Promise<Result> {
  const { model } = context;
  const data = context.data!;
  const chosen = depthsOf(model.network, options.depths, 0);
  const averaged = await onAverages(context, chosen, options.neighbours);
  const { count, rows } = await onStreams(context, chosen, options.streams);
  return {
    model: model.manifest.name,
    data: data.name,
    train: data.train!.count,
    test: data.test.count,
    streamImages: count,
    intervals,
    averaged,
    streams: rows,
  };
}

async function onAverages(context: Context, at: readonly number[], neighbours: number): Promise<Result['averaged']> {
  const [train, test] = [context.data!.train!, context.data!.test];
  const subject = asTrained(context.model);
  const learned = await averagedFeatures(context, subject, train, 'contraction: training images');
  const tried = await averagedFeatures(context, subject, test, 'contraction: test images');
  const results: Result['averaged'] = [];
  for (const depth of at) {
    context.progress('contraction: depths', results.length, at.length);
    const features = await learned.at(depth);
    const others = await tried.at(depth);
    const moments = classMoments(features, train.labels);
    const whitening = await withinClass(context, features, train.labels, moments);
    results.push({
      depth,
      ...(await shapeOf(context, features, train.labels, neighbours)),
      separation: separation(moments, whitening),
      nearestMean: accuracyOf(nearestMean(others, moments), test.labels),
      nearestWhitenedMean: accuracyOf(nearestWhitenedMean(others, moments, whitening), test.labels),
    });
  }
  return results;
}

/** What is measured of averages and streams alike. */
async function shapeOf(context: Context, features: Tensor<'float32'>, labels: Uint16Array, neighbours: number) {
  const { participation, entropy } = effectiveRanks(await variancesOf(context, features));
  const some = rowsOf(features, 0, Math.min(neighbours, features.dims[0]!));
  const dimension = await twoNearest(context, some);
  return {
    dimensions: features.dims[1]!,
    withinOverBetween: withinOverBetween(classMoments(features, labels)),
    participationRatio: participation,
    entropyRank: entropy,
    intrinsicDimension: Number.isFinite(dimension) ? dimension : null,
  };
}

/** Numbers of streams that are held in memory at a time. */
const HELD = 2 ** 27;

/** Looks at whole streams, all depths of some test images from one pass. */
async function onStreams(
  context: Context,
  at: readonly number[],
  wanted: number,
): Promise<{ count: number; rows: Result['streams'] }> {
  const { network } = context.model;
  const widest = Math.max(...streamTaps(network, at).dimensions);
  const count = Math.min(wanted, context.data!.test.count, Math.floor(HELD / (2 * widest * at.length)));
  const images = slice(context.data!.test, 0, count);
  if (new Set(images.labels).size < 2)
    throw new AnalysisError(
      'too-few-images',
      `the first ${count} test images are of one class; expected two or more. Look at more images with --streams`,
    );
  const bare = rearranging(context.model);
  const states = await wholeStates(context, asTrained(context.model), images, at);
  const moved = bare && (await wholeStates(context, bare, images, at));
  const rows: Result['streams'] = [];
  for (const [i, depth] of at.entries()) {
    context.progress('contraction: depths of streams', i, at.length);
    const shape = await shapeOf(context, states[i]!, images.labels, count);
    rows.push({ depth, ...shape, correlation: moved ? correlation(states[i]!.data, moved[i]!.data) : null });
  }
  return { count, rows };
}

/** The states of a network at some depths, each float32 [images, numbers]. */
async function wholeStates(
  context: Context,
  { network, weights }: Subject,
  images: Images,
  at: readonly number[],
): Promise<Tensor<'float32'>[]> {
  const { graph } = streamTaps(network, at);
  const outputs = await withGraph(context, graph, weights, (session) =>
    runInSlices(session, { pixels: pixelsOf(images) }, batchFor(network)),
  );
  return at.map((depth) => {
    const { dims, data } = outputs[tapName(depth)]! as Tensor<'float32'>;
    return tensor('float32', [dims[0]!, sizeOf(dims.slice(1))], data);
  });
}

function figure({ model, data, train, streamImages, averaged, streams }: Result): Figure {
  const x = { title: 'Depth (blocks)' };
  type Key = keyof typeof shared;
  const both = (key: Key): Series[] => {
    const line = (rows: readonly (Record<Key, number | null> & { depth: number })[]) =>
      rows.flatMap((row) => (row[key] === null ? [] : [{ x: row.depth, y: row[key] }]));
    return [
      { name: 'averaged', colour: 0, points: line(averaged) },
      { name: 'whole streams', colour: 1, points: line(streams) },
    ];
  };
  const panel = (title: string, y: Parameters<typeof linePanel>[0]['y'], series: readonly Series[]) =>
    linePanel({ title, x, y, series });
  const share = (row: { accuracy: number; interval: readonly number[] }) => ({
    y: row.accuracy,
    interval: row.interval as [number, number],
  });
  const means: Series[] = [
    { name: 'as they are', colour: 0, points: averaged.map((d) => ({ x: d.depth, ...share(d.nearestMean) })) },
    { name: 'whitened', colour: 1, points: averaged.map((d) => ({ x: d.depth, ...share(d.nearestWhitenedMean) })) },
  ];
  const correlations = streams.flatMap((d) => (d.correlation === null ? [] : [{ x: d.depth, y: d.correlation }]));
  const panels = [
    panel('Within over between classes', { title: 'Ratio of mean squared distances' }, both('withinOverBetween')),
    panel('After whitening within classes', { title: 'tr(Sw⁻¹ Sb), logarithmic', scale: 'log' }, [
      { name: 'averaged', colour: 0, points: averaged.map((d) => ({ x: d.depth, y: d.separation })) },
    ]),
    panel('Nearest class mean', { title: 'Accuracy on test images', format: '%', domain: [0, 1] }, means),
    panel('Effective rank', { title: 'Participation ratio (directions)' }, both('participationRatio')),
    panel('Intrinsic dimension (TwoNN)', { title: 'Dimensions' }, both('intrinsicDimension')),
    ...(correlations.length > 0
      ? [
          panel('Likeness to ψ alone', { title: 'Correlation of the streams', domain: [-0.05, 1.05] }, [
            { name: 'whole streams', colour: 1, points: correlations },
          ]),
        ]
      : []),
  ];
  return {
    title: {
      text: 'How distances and variance change with depth',
      subtitle: `${model}, ${data}: averaged channels of ${train} training images; whole streams of ${streamImages} test images`,
    },
    concat: panels,
    columns: 2,
    spacing: { row: 40, column: 100 },
  } as unknown as Figure;
}

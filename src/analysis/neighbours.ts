import { type Static, Type } from 'typebox';
import { pixelsOf } from '../../export/data/images.js';
import { rows } from '../../export/graph/rows.js';
import { tileOf } from '../images/sheet.js';
import { chosenImages } from './chosen.js';
import { standardisedBoth } from './classifiers.js';
import type { Context } from './context.js';
import { depths, depthsOf } from './depths.js';
import { AnalysisError } from './errors.js';
import { experiment } from './experiment.js';
import { averagedFeatures } from './features.js';
import type { Figure } from './figure.js';
import { nearest } from './methods/nearest.js';
import { Picture, pictured, sheetUrl } from './pictures.js';
import { asTrained } from './subjects.js';

const options = Type.Object({
  images: Type.Integer({ minimum: 1, maximum: 64, default: 8, description: 'pictures, or test images, looked at' }),
  neighbours: Type.Integer({ minimum: 1, maximum: 64, default: 5, description: 'nearest training images of each' }),
  depths,
});
type Options = Static<typeof options>;

const result = Type.Object({
  model: Type.String(),
  data: Type.String(),
  train: Type.Integer({ description: 'images among which the neighbours are sought' }),
  names: Type.Array(Type.String(), { description: 'of the images looked at, in their order' }),
  depths: Type.Array(
    Type.Object({
      depth: Type.Integer(),
      images: Type.Array(
        Type.Array(
          Type.Object({
            place: Type.Integer({ description: 'number of the training image, from 0' }),
            label: Type.Union([Type.String(), Type.Null()]),
            distance: Type.Number({ description: 'Euclidean, in standard deviations of a channel' }),
          }),
        ),
        { description: 'nearest first' },
      ),
      picture: Picture,
    }),
    { description: 'pictures: a row an image, then its neighbours' },
  ),
});
type Result = Static<typeof result>;

/** Which training images look alike to the network. */
export const neighbours = experiment({
  name: 'neighbours',
  title: 'Nearest training images',
  description: 'the training images nearest to pictures, or to test images, in the averaged features at chosen depths',
  needs: { data: 'train' },
  options,
  result,
  run,
  figure,
});

async function run(context: Context, { images: count, neighbours: k, depths: wanted }: Options): Promise<Result> {
  const { model } = context;
  const data = context.data!;
  const train = data.train!;
  if (train.count < k)
    throw new AnalysisError(
      'too-few-images',
      `${data.name} has ${train.count} training images; expected at least the ${k} of --neighbours`,
    );
  const { images, names } = chosenImages(context, count);
  const subject = asTrained(model);
  const learned = await averagedFeatures(context, subject, train, 'neighbours: training images');
  const seen = await averagedFeatures({ ...context, cache: undefined }, subject, images, 'neighbours: pictures');
  // Depths of all blocks would make a long figure: without a choice, the last one of each width.
  const ends = learned.dimensions.flatMap((width, depth) => (width === learned.dimensions[depth + 1] ? [] : [depth]));
  const at = wanted.length > 0 ? depthsOf(model.network, wanted, 0) : ends;
  const results: Result['depths'] = [];
  for (const depth of at) {
    context.progress('neighbours: depths', results.length, at.length);
    const [points, queries] = standardisedBoth(
      { rows: await learned.at(depth), labels: train.labels },
      { rows: await seen.at(depth), labels: images.labels },
    );
    const { places, distances } = await nearest(context, points.rows, queries.rows, k);
    const found = Array.from({ length: images.count }, (_, i) =>
      Array.from({ length: k }, (_, j) => {
        const place = places[i * k + j]!;
        return { place, label: data.classes?.[train.labels[place]!] ?? null, distance: distances[i * k + j]! };
      }),
    );
    const lines = found.map((row, i) => [
      tileOf(pixelsOf(images), i),
      ...row.map(({ place }) => tileOf(rows(pixelsOf(train), place, place + 1), 0)),
    ]);
    results.push({ depth, images: found, picture: await sheetUrl(lines) });
  }
  return { model: model.manifest.name, data: data.name, train: train.count, names: [...names], depths: results };
}

function figure({ model, data, train, depths }: Result): Figure {
  return {
    title: { text: 'The nearest training images by depth', subtitle: `${model}, ${train} training images of ${data}` },
    concat: depths.map(({ depth, picture }) =>
      pictured(picture, `After ${depth} blocks`, 'left: the picture; then the nearest images, nearest first'),
    ),
    columns: 2,
  } as unknown as Figure;
}

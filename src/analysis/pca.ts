import { type Static, Type } from 'typebox';
import { Classified, intervals, type Labelled, standardisedBoth, tryNearest, trySvm } from './classifiers.js';
import type { Context } from './context.js';
import { AnalysisError } from './errors.js';
import { experiment } from './experiment.js';
import { averagedFeatures } from './features.js';
import type { Figure } from './figure.js';
import { type Components, componentsOf, projected } from './methods/components.js';
import { linePanel, PANEL } from './panel.js';
import { asTrained } from './subjects.js';

const options = Type.Object({
  components: Type.Array(Type.Integer({ minimum: 1 }), {
    minItems: 1,
    default: [1, 2, 3, 5, 10, 20, 50, 100, 200],
    description: 'numbers of components that are tried; those above the number of channels are left out',
  }),
  points: Type.Integer({
    minimum: 1,
    default: 1000,
    description: 'test images in the plane of the first two components',
  }),
});
type Options = Static<typeof options>;

const result = Type.Object({
  model: Type.String(),
  data: Type.String(),
  train: Type.Integer({ description: 'images that components and classifiers come from' }),
  test: Type.Integer({ description: 'images that the classifiers were tried on' }),
  dimensions: Type.Integer({ description: 'channels of the final features, averaged over places' }),
  intervals: Type.String(),
  explained: Type.Array(Type.Number(), {
    description: 'share of the variance of standardised training features in the first 1, 2, 3, … components together',
  }),
  all: Type.Object(Classified.properties, { description: 'with every channel' }),
  components: Type.Array(
    Type.Object({
      components: Type.Integer(),
      explained: Type.Number({ description: 'share of the variance' }),
      ...Classified.properties,
    }),
  ),
  enough: Type.Object(
    {
      svm: Type.Union([Type.Integer(), Type.Null()]),
      nearestNeighbour: Type.Union([Type.Integer(), Type.Null()]),
    },
    { description: 'the fewest of these components whose accuracy is within one point of that with all; null: none' },
  ),
  plane: Type.Array(
    Type.Object({
      label: Type.String(),
      first: Type.Number({ description: 'coordinate along the first component, in standard deviations of a channel' }),
      second: Type.Number({ description: 'along the second' }),
    }),
  ),
});
type Result = Static<typeof result>;

/** How few directions of the final features carry the classes. i-RevNet paper, its experiment on principal components. */
export const pca = experiment({
  name: 'pca',
  title: 'Principal components of the final features',
  description:
    'variance in the principal components of the averaged final features, and how many test images the two classifiers get right with the first few',
  needs: { data: 'train', labels: true },
  options,
  result,
  run,
  figure,
});

/** How far below the accuracy with all components still counts as the same. */
const POINT = 0.01;

async function run(context: Context, { components: wanted, points }: Options): Promise<Result> {
  const { model } = context;
  const data = context.data!;
  const [train, test] = await finalFeatures(context);
  const dimensions = train.rows.dims[1]!;
  const most = Math.min(dimensions, data.train!.count - 1);
  const tried = [...new Set(wanted)].sort((a, b) => a - b);
  if (tried[0]! > most)
    throw new AnalysisError(
      'too-few-images',
      `${data.train!.count} training images of ${dimensions} channels have ${most} components; expected at least ${tried[0]}. Use more images or fewer components`,
    );
  const found = await componentsOf(context, train.rows);
  const counts = tried.filter((k) => k <= Math.min(most, found.variances.length));
  const explained = cumulative(found);
  const rows: Result['components'] = [];
  for (const k of counts) {
    context.progress('pca: numbers of components', rows.length, counts.length + 1);
    const [learned, seen] = [await onComponents(context, train, found, k), await onComponents(context, test, found, k)];
    rows.push({ components: k, explained: explained[k - 1]!, ...(await classified(context, learned, seen)) });
  }
  context.progress('pca: numbers of components', counts.length, counts.length + 1);
  const all = await classified(context, train, test);
  const within = (of: 'svm' | 'nearestNeighbour') =>
    rows.find((row) => row[of].accuracy >= all[of].accuracy - POINT)?.components ?? null;
  return {
    model: model.manifest.name,
    data: data.name,
    train: data.train!.count,
    test: data.test.count,
    dimensions,
    intervals,
    explained,
    all,
    components: rows,
    enough: { svm: within('svm'), nearestNeighbour: within('nearestNeighbour') },
    plane: await planeOf(context, test, found, data.classes!, points),
  };
}

/** The standardised features after the last block, of both parts. */
async function finalFeatures(context: Context): Promise<[Labelled, Labelled]> {
  const subject = asTrained(context.model);
  const last = context.model.network.blocks.length;
  const [train, test] = [context.data!.train!, context.data!.test];
  const learned = await averagedFeatures(context, subject, train, 'pca: training images');
  const tried = await averagedFeatures(context, subject, test, 'pca: test images');
  return standardisedBoth(
    { rows: await learned.at(last), labels: train.labels },
    { rows: await tried.at(last), labels: test.labels },
  );
}

/** Both classifiers, on components as they are: to standardise them again would change the distances with every further one. */
const classified = async (context: Context, train: Labelled, test: Labelled): Promise<Classified> => ({
  svm: await trySvm(context, train, test),
  nearestNeighbour: await tryNearest(context, train, test),
});

const onComponents = async (context: Context, part: Labelled, found: Components, k: number): Promise<Labelled> => ({
  ...part,
  rows: await projected(context, part.rows, found, k),
});

function cumulative({ variances, total }: Components): number[] {
  let sum = 0;
  return Array.from(variances, (v) => {
    sum += v;
    return Math.min(1, sum / total);
  });
}

async function planeOf(
  context: Context,
  test: Labelled,
  found: Components,
  classes: readonly string[],
  points: number,
): Promise<Result['plane']> {
  const k = Math.min(2, found.variances.length);
  const { data } = (await onComponents(context, test, found, k)).rows;
  return Array.from({ length: Math.min(points, test.labels.length) }, (_, i) => ({
    label: classes[test.labels[i]!]!,
    first: data[i * k]!,
    second: k === 2 ? data[i * k + 1]! : 0,
  }));
}

function figure({ model, data, train, test, dimensions, all, components, explained, plane }: Result): Figure {
  const x = { title: 'Principal components (number, logarithmic)', scale: 'log' as const };
  const counts = components.map((c) => c.components);
  const of = (key: 'svm' | 'nearestNeighbour') =>
    [...components, ...(dimensions > counts.at(-1)! ? [{ components: dimensions, ...all }] : [])].map((row) => ({
      x: row.components,
      y: row[key].accuracy,
      interval: row[key].interval as [number, number],
    }));
  const accuracy = linePanel({
    title: 'Accuracy with the first components',
    x,
    y: { title: 'Accuracy on test images', format: '%', domain: [0, 1] },
    series: [
      { name: 'linear SVM', colour: 0, points: of('svm') },
      { name: 'nearest training image', colour: 1, points: of('nearestNeighbour') },
      {
        name: 'variance explained',
        colour: 6,
        control: true,
        plain: true,
        points: explained.map((y, i) => ({ x: i + 1, y })),
      },
    ],
  });
  const axis = (field: string, title: string, aggregate: string) => ({
    field,
    type: 'quantitative',
    title,
    ...(aggregate && { aggregate }),
  });
  const place = (aggregate: '' | 'median') => ({
    x: axis('first', 'First component (standard deviations of a channel)', aggregate),
    y: axis('second', 'Second component', aggregate),
  });
  const ofClass = { field: 'label', type: 'nominal', legend: null };
  const classes = {
    title: 'Test images in the plane of the first two',
    ...PANEL,
    data: { values: plane },
    layer: [
      {
        mark: { type: 'point', size: 14, opacity: 0.6 },
        encoding: { ...place(''), color: ofClass, shape: { field: 'label', type: 'nominal', legend: null } },
      },
      {
        mark: { type: 'text', fontWeight: 'bold', stroke: 'white', strokeWidth: 3, strokeOpacity: 0.8 },
        encoding: { ...place('median'), text: { field: 'label' }, detail: { field: 'label' } },
      },
      {
        mark: { type: 'text', fontWeight: 'bold' },
        // Black: not every colour of a class can be read on white.
        encoding: { ...place('median'), text: { field: 'label' } },
      },
    ],
  };
  return {
    title: {
      text: 'How few directions of the final features carry the classes',
      subtitle: `${model}, ${data}: ${dimensions} averaged channels; ${train} training and ${test} test images; 95% intervals`,
    },
    hconcat: [accuracy, classes],
    spacing: 150,
    resolve: { scale: { color: 'independent', shape: 'independent' } },
  } as unknown as Figure;
}

import { type Static, Type } from 'typebox';
import { type Images, pixelsOf, slice } from '../../export/data/images.js';
import { seeded } from '../../export/data/random.js';
import { rows as rowsOf } from '../../export/graph/rows.js';
import { type Tensor, tensor } from '../../export/graph/tensor.js';
import { chosenImages } from './chosen.js';
import type { Context } from './context.js';
import { AnalysisError } from './errors.js';
import { experiment } from './experiment.js';
import { gradientSigns, moved } from './fgsm.js';
import type { Figure } from './figure.js';
import { normInGreyLevels } from './image.js';
import { centreWindow, differentiable, leadingSingularValues } from './jacobian.js';
import { margins, predictions } from './logits.js';
import { type Passes, withPasses } from './passes.js';
import { RankCorrelation, Share, Spread, seed, shareOf, spearman, spreadOf } from './statistics.js';

const options = Type.Object({
  images: Type.Integer({ minimum: 1, default: 500, description: 'images whose classification is tried' }),
  strengths: Type.Array(Type.Integer({ minimum: 1, maximum: 255 }), {
    minItems: 1,
    default: [1, 2, 4, 8, 16, 32],
    description: 'how far every pixel is moved, in grey levels',
  }),
  spectra: Type.Integer({ minimum: 3, default: 64, description: 'images whose largest singular value is taken' }),
  seed,
});
type Options = Static<typeof options>;

const properties = ['gradient', 'largest', 'margin'] as const;
const what = {
  gradient: 'norm of the gradient of the cross-entropy, per grey level',
  largest: 'largest singular value of ∂Φ',
  margin: 'logit of the label minus the largest other one',
} as const;

const result = Type.Object({
  images: Type.Integer(),
  accuracy: Type.Object(Share.properties, { description: 'of the images as they are' }),
  strengths: Type.Array(
    Type.Object({
      strength: Type.Integer({ description: 'grey levels by which every pixel is moved, then clipped to 0 … 255' }),
      fgsm: Type.Object(Share.properties, {
        description: 'classified rightly after a step along the sign of the gradient',
      }),
      noise: Type.Object(Share.properties, { description: 'control: the same step with random signs' }),
    }),
  ),
  spread: Type.Object({
    gradient: Type.Object(Spread.properties, { description: what.gradient }),
    largest: Type.Object(Spread.properties, { description: what.largest }),
    margin: Type.Object(Spread.properties, { description: what.margin }),
  }),
  withstood: Type.Object(Spread.properties, {
    description:
      'largest of the strengths up to which FGSM leaves the classification right, grey levels; 0: none. Of images classified rightly, as the correlations',
  }),
  correlations: Type.Array(
    Type.Object({
      property: Type.Enum([...properties], { type: 'string' }),
      images: Type.Integer(),
      ...RankCorrelation.properties,
    }),
    { description: 'rank correlation of a property of an image with the strength that it withstands' },
  ),
  points: Type.Array(
    Type.Object({
      image: Type.Integer(),
      withstood: Type.Integer({ description: 'grey levels' }),
      gradient: Type.Number({ description: what.gradient }),
      largest: Type.Number({ description: what.largest }),
      margin: Type.Number({ description: what.margin }),
    }),
    { description: 'the images of the correlations' },
  ),
});
type Result = Static<typeof result>;

async function run(context: Context, options: Options): Promise<Result> {
  const { images } = chosenImages({ ...context, pictures: undefined }, options.images);
  const strengths = [...new Set(options.strengths)].sort((a, b) => a - b);
  return withPasses(context, context.model.network, async (passes) => {
    const pixels = pixelsOf(images);
    const canvas = await passes.prepare(pixels);
    const { logits } = await passes.encode(canvas);
    const right = rightly(predictions(logits), images);
    const slopes = await passes.gradient(canvas, images.labels);
    const gradients = Array.from({ length: images.count }, (_, n) =>
      normInGreyLevels(passes.network, rowsOf(slopes, n, n + 1)),
    );
    const [attack, control] = [await gradientSigns(passes, pixels, images.labels), randomSigns(pixels, options.seed)];
    const rows: Result['strengths'] = [];
    const withstood = new Int32Array(images.count);
    const standing = [...right];
    for (const strength of strengths) {
      const after = await tried(passes, moved(pixels, attack, strength), images);
      const noisy = await tried(passes, moved(pixels, control, strength), images);
      for (let n = 0; n < images.count; n++) {
        standing[n] &&= after[n]!;
        if (standing[n]) withstood[n] = strength;
      }
      rows.push({ strength, fgsm: share(after), noise: share(noisy) });
      context.progress('robustness: strengths', rows.length, strengths.length);
    }
    const all = margins(logits, images.labels);
    const numbers = Array.from(right.keys())
      .filter((n) => right[n])
      .slice(0, options.spectra);
    if (numbers.length < 3)
      throw new AnalysisError('too-few-images', `${numbers.length} images are classified rightly; expected at least 3`);
    const largest = await largestOf(context, passes, images, numbers);
    const points = numbers.map((n, i) => ({
      image: n,
      withstood: withstood[n]!,
      gradient: gradients[n]!,
      largest: largest[i]!,
      margin: all[n]!,
    }));
    const column = (key: keyof (typeof points)[number]) => points.map((point) => point[key]);
    return {
      images: images.count,
      accuracy: share(right),
      strengths: rows,
      spread: { gradient: spreadOf(gradients), largest: spreadOf(largest), margin: spreadOf(all) },
      withstood: spreadOf(column('withstood')),
      correlations: properties.map((property) => ({
        property,
        images: points.length,
        ...spearman(column(property), column('withstood'), options.seed),
      })),
      points,
    };
  });
}

const rightly = (predicted: readonly number[], { labels }: Images): boolean[] =>
  predicted.map((label, n) => label === labels[n]);
const share = (right: readonly boolean[]): Share => shareOf(right.filter(Boolean).length, right.length);

const tried = async (passes: Passes, pixels: Tensor<'uint8'>, images: Images): Promise<boolean[]> =>
  rightly(predictions((await passes.encode(await passes.prepare(pixels))).logits), images);

function randomSigns({ dims, data }: Tensor<'uint8'>, seedOf: number): Tensor<'int8'> {
  const random = seeded(seedOf, 2);
  return tensor(
    'int8',
    dims,
    Int8Array.from(data, () => (random() < 0.5 ? -1 : 1)),
  );
}

/** Images that Lanczos works on at a time. */
const TOGETHER = 16;

async function largestOf(
  context: Context,
  passes: Passes,
  images: Images,
  numbers: readonly number[],
): Promise<number[]> {
  const target = differentiable(context);
  const everything = centreWindow(target.network, null);
  const settings = { wanted: 1, steps: 40, tolerance: 1e-3, seed: 1 };
  const found: number[] = [];
  const size = images.height * images.width * images.channels;
  const together = size > 2 ** 14 ? 1 : TOGETHER;
  for (let from = 0; from < numbers.length; from += together) {
    const some = numbers.slice(from, from + together).map((n) => pixelsOf(slice(images, n, n + 1)).data);
    const data = new Uint8Array(some.length * size);
    for (const [i, pixels] of some.entries()) data.set(pixels, i * size);
    const canvas = await passes.prepare(
      tensor('uint8', [some.length, images.height, images.width, images.channels], data),
    );
    const leading = await leadingSingularValues(target, canvas, target.network.blocks.length, everything, settings);
    found.push(...leading.map(({ values }) => values[0]!));
    context.progress('robustness: singular values', found.length, numbers.length);
  }
  return found;
}

function figure({ accuracy, strengths, correlations, points }: Result): Figure {
  const row = (strength: number, moved: string, { share, interval: [low, high] }: Share) => ({
    strength,
    moved,
    share,
    low,
    high,
  });
  const curves = [
    row(0, 'along the gradient (FGSM)', accuracy),
    row(0, 'at random', accuracy),
    ...strengths.flatMap(({ strength, fgsm, noise }) => [
      row(strength, 'along the gradient (FGSM)', fgsm),
      row(strength, 'at random', noise),
    ]),
  ];
  const colour = { field: 'moved', type: 'nominal', title: null, legend: { orient: 'top', labelLimit: 300 } };
  const x = { field: 'strength', type: 'quantitative', title: 'grey levels by which every pixel is moved' };
  const accuracies = {
    title: 'Accuracy by strength, with 95% intervals',
    data: { values: curves },
    layer: [
      {
        mark: { type: 'area', opacity: 0.2 },
        encoding: {
          x,
          y: {
            field: 'low',
            type: 'quantitative',
            title: 'accuracy',
            axis: { format: '.0%' },
            scale: { domain: [0, 1] },
          },
          y2: { field: 'high' },
          color: colour,
        },
      },
      {
        mark: { type: 'line', point: true },
        encoding: { x, y: { field: 'share', type: 'quantitative' }, color: colour },
      },
    ],
  };
  const scatter = correlations.map(({ property, spearman, interval }) => ({
    title: {
      text: what[property],
      subtitle:
        spearman === null
          ? 'no correlation: one of the two is constant'
          : `Spearman's ρ = ${spearman.toFixed(2)} (${interval![0].toFixed(2)} to ${interval![1].toFixed(2)}), ${points.length} images`,
    },
    height: 170,
    data: { values: points.filter((point) => point.gradient > 0) },
    mark: { type: 'point', opacity: 0.6 },
    encoding: {
      x: {
        field: property,
        type: 'quantitative',
        title: what[property],
        scale: property === 'gradient' ? { type: 'log' } : { zero: false },
      },
      y: { field: 'withstood', type: 'quantitative', title: 'strength withstood' },
    },
  }));
  return {
    concat: [accuracies, ...scatter],
    columns: 2,
    resolve: { scale: { color: 'independent' } },
  } as unknown as Figure;
}

/** Accuracy under small changes. */
export const robustness = experiment({
  name: 'robustness',
  title: 'Robustness',
  description:
    'Accuracy by strength under FGSM and, as a control, random signs; and whether the gradient, the largest singular value and the margin of an image tell what it withstands.',
  needs: { data: 'test', labels: true },
  options,
  result,
  run,
  figure,
});

import { type Static, Type } from 'typebox';
import { type Images, pixelsOf } from '../../export/data/images.js';
import { permutation, seeded } from '../../export/data/random.js';
import { rows, stack } from '../../export/graph/rows.js';
import { type Tensor, tensor } from '../../export/graph/tensor.js';
import { levelsTile, type Tile } from '../images/sheet.js';
import { chosenImages } from './chosen.js';
import type { Context } from './context.js';
import { AnalysisError } from './errors.js';
import { experiment } from './experiment.js';
import type { Figure } from './figure.js';
import { predictions } from './logits.js';
import { PANEL } from './panel.js';
import { levelsOf, type Passes, withPasses } from './passes.js';
import { Picture, pictured, sheetUrl } from './pictures.js';
import { Spread, seed, spreadOf } from './statistics.js';

const options = Type.Object({
  pairs: Type.Integer({
    minimum: 1,
    default: 32,
    description: 'lines between two images, of two classes where there are labels',
  }),
  steps: Type.Integer({ minimum: 3, maximum: 64, default: 9, description: 'points of a line, both ends included' }),
  shown: Type.Integer({ minimum: 1, maximum: 16, default: 3, description: 'lines that are shown as pictures' }),
  grid: Type.Integer({
    minimum: 2,
    maximum: 16,
    default: 5,
    description: 'points along a side of the grid between four images',
  }),
  perClass: Type.Integer({ minimum: 1, default: 100, description: 'images whose mean stands for a class' }),
  seed,
});
type Options = Static<typeof options>;

const Measured = {
  outside: Type.Object(Spread.properties, {
    description: 'share of pixel values that are outside 0 … 255 by more than half a grey level, per picture',
  }),
  excess: Type.Object(Spread.properties, {
    description: 'RMS of how far pixel values leave the range, grey levels, per picture',
  }),
  variation: Type.Object(Spread.properties, {
    description: 'total variation: mean |difference| between neighbouring pixels, grey levels, per picture',
  }),
};

const result = Type.Object({
  lines: Type.Array(
    Type.Object({
      t: Type.Number({ description: 'share of the way from one image to the other' }),
      features: Type.Object({
        ...Measured,
        distance: Type.Object(Spread.properties, {
          description:
            '‖Φ⁻¹((1−t) Φ(a) + t Φ(b)) − ((1−t) a + t b)‖₂ / ‖b − a‖₂: how far from the pixel line, in lengths of the line',
        }),
      }),
      pixels: Type.Object(
        { variation: Measured.variation },
        { description: 'control: the same point between the pixels' },
      ),
      endClass: Type.Number({ description: 'share of the decoded points that are classified as one of the ends' }),
      endClassOfPixels: Type.Number({ description: 'control: the same of the points between the pixels' }),
    }),
    { description: 'over all pairs, by the place on the line' },
  ),
  classMeans: Type.Union(
    [
      Type.Array(
        Type.Object({
          label: Type.String(),
          images: Type.Integer(),
          features: Type.String({ description: "the class predicted for Φ⁻¹ of the mean of the images' features" }),
          pixels: Type.String({ description: "the class predicted for the mean of the images' pixels" }),
          distance: Type.Number({ description: 'RMS between the two pictures, grey levels' }),
          excess: Type.Number({ description: 'RMS of how far pixel values of the first leave the range, grey levels' }),
        }),
      ),
      Type.Null(),
    ],
    { description: 'null without labels' },
  ),
  pictures: Type.Object({
    lines: Type.Object(
      { picture: Picture },
      { description: 'two rows a line: decoded from the line between features; between pixels' },
    ),
    grid: Type.Object({ picture: Picture }, { description: 'Φ⁻¹ of bilinear blends of the features of four images' }),
    gridOfPixels: Type.Object({ picture: Picture }, { description: 'control: the same blends of their pixels' }),
    classMeans: Type.Union([Type.Object({ picture: Picture }), Type.Null()], {
      description: 'class means: above in feature space, decoded; below in pixel space; null without labels',
    }),
  }),
});
type Result = Static<typeof result>;

type Floats = Tensor<'float32'>;

/** Σ weights[i] · row i of a tensor, one row for each list of weights. */
export function blends({ dims, data }: Floats, weights: readonly (readonly number[])[]): Floats {
  const size = data.length / dims[0]!;
  const out = new Float32Array(weights.length * size);
  for (const [n, list] of weights.entries()) {
    for (const [i, weight] of list.entries()) {
      if (weight === 0) continue;
      for (let k = 0; k < size; k++) out[n * size + k]! += weight * data[i * size + k]!;
    }
  }
  return tensor('float32', [weights.length, ...dims.slice(1)], out);
}

/** Weights of two rows along a line. */
const lineWeights = (steps: number): number[][] =>
  Array.from({ length: steps }, (_, s) => [1 - s / (steps - 1), s / (steps - 1)]);

/** Bilinear weights of the four corners of a grid, row by row. */
const gridWeights = (side: number): number[][] =>
  Array.from({ length: side * side }, (_, i) => {
    const [u, v] = [(i % side) / (side - 1), Math.floor(i / side) / (side - 1)];
    return [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v];
  });

/** Pairs of images; of two classes where there are labels. */
export function pairsOf(
  { count, labels }: Images,
  labelled: boolean,
  wanted: number,
  seedOf: number,
): [number, number][] {
  const random = seeded(seedOf);
  const pairs: [number, number][] = [];
  for (let tries = 0; pairs.length < wanted && tries < 100 * wanted; tries++) {
    const [a, b] = [Math.floor(random() * count), Math.floor(random() * count)];
    if (a !== b && !(labelled && labels[a] === labels[b])) pairs.push([a, b]);
  }
  return pairs;
}

/** What rounding to 8 bits changes anyway, grey levels. */
const HALF = 0.5;

/** How one picture in grey levels [1, C, H, W] leaves the range of pixels, and how it varies. */
export function measures({ dims, data }: Floats): { outside: number; excess: number; variation: number } {
  const [, , height, width] = dims as [number, number, number, number];
  let [outside, excess, variation, neighbours] = [0, 0, 0, 0];
  for (const [i, v] of data.entries()) {
    const over = Math.max(0, v - 255, -v);
    if (over > HALF) outside++;
    excess += over * over;
    const [y, x] = [Math.floor(i / width) % height, i % width];
    if (x + 1 < width) variation += Math.abs(data[i + 1]! - v);
    if (y + 1 < height) variation += Math.abs(data[i + width]! - v);
    neighbours += Number(x + 1 < width) + Number(y + 1 < height);
  }
  return { outside: outside / data.length, excess: Math.sqrt(excess / data.length), variation: variation / neighbours };
}

const distance = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0));

interface Line {
  /** Decoded from the features, and between the pixels: grey levels [steps, C, H, W]. */
  readonly decoded: Floats;
  readonly blended: Floats;
  readonly classes: readonly number[];
  readonly classesOfPixels: readonly number[];
  readonly ends: readonly [number, number];
}

async function lineOf(passes: Passes, ends: Tensor<'uint8'>, steps: number): Promise<Line> {
  const weights = lineWeights(steps);
  const canvas = await passes.prepare(ends);
  const { features, logits } = await passes.encode(canvas);
  const along = blends(features, weights);
  const { canvas: back } = await passes.decode(along);
  const between = blends(canvas, weights);
  return {
    decoded: levelsOf(passes.network, back),
    blended: levelsOf(passes.network, between),
    classes: predictions(await passes.head(along)),
    classesOfPixels: predictions((await passes.encode(between)).logits),
    ends: predictions(logits) as [number, number],
  };
}

async function run(context: Context, options: Options): Promise<Result> {
  const { images, labelled } = chosenImages(context, Number.POSITIVE_INFINITY, 2);
  const pairs = pairsOf(images, labelled, options.pairs, options.seed);
  if (pairs.length === 0)
    throw new AnalysisError('data-one-class', 'all images are of one class; expected two or more');
  const pixels = pixelsOf(images);
  const of = (...numbers: number[]) => stack(numbers.map((n) => rows(pixels, n, n + 1)));
  return withPasses(context, context.model.network, async (passes) => {
    const lines: Line[] = [];
    for (const [a, b] of pairs) {
      lines.push(await lineOf(passes, of(a, b), options.steps));
      context.progress('interpolation: lines', lines.length, pairs.length);
    }
    const classMeans = labelled ? await meansOf(passes, images, context.data!.classes!, options.perClass) : null;
    const corners = await fourImages(passes, images, options);
    const shown = lines.slice(0, options.shown).flatMap(({ decoded, blended }) => [tilesOf(decoded), tilesOf(blended)]);
    return {
      lines: lineWeights(options.steps).map(([, t], s) => ({ t: t!, ...pointOf(lines, s) })),
      classMeans: classMeans?.means ?? null,
      pictures: {
        lines: { picture: await sheetUrl(shown) },
        grid: { picture: await sheetUrl(linesOf(corners.decoded, options.grid)) },
        gridOfPixels: { picture: await sheetUrl(linesOf(corners.blended, options.grid)) },
        classMeans: classMeans && { picture: await sheetUrl(classMeans.tiles) },
      },
    };
  });
}

const tilesOf = (levels: Floats): Tile[] => Array.from({ length: levels.dims[0]! }, (_, n) => levelsTile(levels, n));
const linesOf = (levels: Floats, side: number): Tile[][] =>
  Array.from({ length: side }, (_, r) => tilesOf(rows(levels, r * side, (r + 1) * side)));

/** What is measured at one place of all lines. */
function pointOf(lines: readonly Line[], s: number) {
  const decoded = lines.map((line) => measures(rows(line.decoded, s, s + 1)));
  const blended = lines.map((line) => measures(rows(line.blended, s, s + 1)));
  const away = lines.map(({ decoded, blended }) => {
    const last = blended.dims[0]! - 1;
    const length = distance(rows(blended, 0, 1).data, rows(blended, last, last + 1).data);
    return distance(rows(decoded, s, s + 1).data, rows(blended, s, s + 1).data) / length;
  });
  const isEnd = (classes: readonly number[], ends: readonly number[]) => Number(ends.includes(classes[s]!));
  const mean = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;
  return {
    features: {
      outside: spreadOf(decoded.map(({ outside }) => outside)),
      excess: spreadOf(decoded.map(({ excess }) => excess)),
      variation: spreadOf(decoded.map(({ variation }) => variation)),
      distance: spreadOf(away),
    },
    pixels: { variation: spreadOf(blended.map(({ variation }) => variation)) },
    endClass: mean(lines.map(({ classes, ends }) => isEnd(classes, ends))),
    endClassOfPixels: mean(lines.map(({ classesOfPixels, ends }) => isEnd(classesOfPixels, ends))),
  };
}

/** Blends of four images, of different classes where there are labels. */
async function fourImages(passes: Passes, images: Images, { grid, seed }: Options) {
  const order = Array.from(permutation(images.count, seeded(seed, 4)));
  const chosen: number[] = [];
  for (const n of order) if (!chosen.some((c) => images.labels[c] === images.labels[n])) chosen.push(n);
  const corners = [...chosen, ...order.filter((n) => !chosen.includes(n)), ...order, ...order].slice(0, 4);
  const pixels = pixelsOf(images);
  const canvas = await passes.prepare(stack(corners.map((n) => rows(pixels, n, n + 1))));
  const { features } = await passes.encode(canvas);
  const { canvas: back } = await passes.decode(blends(features, gridWeights(grid)));
  return {
    decoded: levelsOf(passes.network, back),
    blended: levelsOf(passes.network, blends(canvas, gridWeights(grid))),
  };
}

/** The mean of some images of each class, in feature space and in pixel space. */
async function meansOf(passes: Passes, images: Images, classes: readonly string[], perClass: number) {
  const means: NonNullable<Result['classMeans']> = [];
  const tiles: [Tile[], Tile[]] = [[], []];
  const pixels = pixelsOf(images);
  for (const [label, name] of classes.entries()) {
    const numbers = Array.from(images.labels.keys())
      .filter((n) => images.labels[n] === label)
      .slice(0, perClass);
    if (numbers.length === 0) continue;
    const canvas = await passes.prepare(stack(numbers.map((n) => rows(pixels, n, n + 1))));
    const { features } = await passes.encode(canvas);
    const equal = [numbers.map(() => 1 / numbers.length)];
    const mean = blends(features, equal);
    const decoded = levelsOf(passes.network, (await passes.decode(mean)).canvas);
    const inPixels = blends(canvas, equal);
    const blended = levelsOf(passes.network, inPixels);
    means.push({
      label: name,
      images: numbers.length,
      features: classes[predictions(await passes.head(mean))[0]!]!,
      pixels: classes[predictions((await passes.encode(inPixels)).logits)[0]!]!,
      distance: distance(decoded.data, blended.data) / Math.sqrt(decoded.data.length),
      excess: measures(decoded).excess,
    });
    tiles[0].push(levelsTile(decoded, 0));
    tiles[1].push(levelsTile(blended, 0));
  }
  return { means, tiles };
}

function figure({ lines, pictures }: Result): Figure {
  const x = { field: 't', type: 'quantitative', title: 't, from the one image (0) to the other (1)' };
  const panel = (title: string, axis: string, rows: object[]) => ({
    title,
    data: { values: rows },
    width: PANEL.width,
    height: 170,
    layer: [
      {
        mark: { type: 'area', opacity: 0.2 },
        encoding: {
          x,
          y: { field: 'low', type: 'quantitative', title: axis },
          y2: { field: 'high' },
          color: { field: 'between', type: 'nominal', title: null, legend: { orient: 'top' } },
        },
      },
      {
        mark: { type: 'line', point: true },
        encoding: { x, y: { field: 'median', type: 'quantitative' }, color: { field: 'between', type: 'nominal' } },
      },
    ],
  });
  const row = (t: number, between: string, { median, interval: [low, high] }: Static<typeof Spread>) => ({
    t,
    between,
    median,
    low,
    high,
  });
  const of = (key: 'excess' | 'distance') => lines.map(({ t, features }) => row(t, 'features', features[key]));
  return {
    columns: 2,
    resolve: { scale: { color: 'independent' } },
    concat: [
      pictured(
        pictures.lines.picture,
        'Lines between two images',
        'of each pair of rows: above between features, decoded; below between pixels',
      ),
      panel(
        'Total variation',
        'grey levels',
        lines.flatMap(({ t, features, pixels }) => [
          row(t, 'features', features.variation),
          row(t, 'pixels', pixels.variation),
        ]),
      ),
      panel('How far decoded points leave the range of pixels', 'RMS, grey levels', of('excess')),
      panel('Distance from the line between the pixels', 'lengths of that line', of('distance')),
      pictured(pictures.grid.picture, 'Between four images, in feature space', 'the corners are the images'),
      pictured(pictures.gridOfPixels.picture, 'The same in pixel space', 'control'),
      ...(pictures.classMeans
        ? [
            pictured(
              pictures.classMeans.picture,
              'Class means',
              'above in feature space, decoded; below in pixel space',
            ),
          ]
        : []),
    ],
  } as unknown as Figure;
}

/** Φ⁻¹ of points between features. */
export const interpolation = experiment({
  name: 'interpolation',
  title: 'Interpolation in feature space',
  description:
    'Pictures on lines and grids between the features of images, and class means, beside the same in pixel space: how far they leave the range of pixels and the line between the pixels, and how they vary.',
  needs: { inverse: true },
  options,
  result,
  run,
  figure,
});

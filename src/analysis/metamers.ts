import { type Static, Type } from 'typebox';
import { type Images, pixelsOf } from '../../export/data/images.js';
import { permutation, type Random, seeded } from '../../export/data/random.js';
import type { Value } from '../../export/graph/graph.js';
import { rows, stack } from '../../export/graph/rows.js';
import { sizeOf, type Tensor, tensor } from '../../export/graph/tensor.js';
import { relativeError } from '../../export/model/measure.js';
import { encode } from '../../export/networks/network.js';
import { levelsTile } from '../images/sheet.js';
import { chosenImages } from './chosen.js';
import type { Context } from './context.js';
import { AnalysisError } from './errors.js';
import { experiment } from './experiment.js';
import { colours, type Figure } from './figure.js';
import { measures, pairsOf } from './interpolation.js';
import { predictions } from './logits.js';
import { reachLogits } from './newton.js';
import { PANEL } from './panel.js';
import { blackBorder, clipped, levelsOf, type Passes, withPasses } from './passes.js';
import { Picture, pictured, sheetUrl } from './pictures.js';
import { Share, Spread, seed, shareOf, spreadOf } from './statistics.js';

const options = Type.Object({
  pairs: Type.Integer({
    minimum: 1,
    default: 16,
    description: 'pairs of images A, B; of two classes where there are labels',
  }),
  steps: Type.Integer({ minimum: 1, default: 12, description: 'most Newton steps' }),
  tolerance: Type.Number({
    exclusiveMinimum: 0,
    default: 1e-3,
    description: 'difference of a logit that is good enough',
  }),
  shown: Type.Integer({ minimum: 1, maximum: 32, default: 6, description: 'pairs that are shown as pictures' }),
  seed,
});
type Options = Static<typeof options>;

const methods = {
  places: 'B with the places of its features permuted, all channels alike',
  channels: 'B with the places of its features permuted, each channel by a permutation of its own',
  newton: "B moved, by steps of least norm through the head, until its logits are A's",
  pixels:
    "for comparison: B's picture changed, by steps of least norm through Φ and the head, until its logits are A's; clipped to 0 … 255 at every step",
  control: 'control: B moved as far as by newton, in a random direction',
} as const;
type Method = keyof typeof methods;
const names = Object.keys(methods) as Method[];

const result = Type.Object({
  pairs: Type.Integer(),
  methods: Type.Array(
    Type.Object({
      method: Type.Enum([...names], { type: 'string' }),
      description: Type.String(),
      target: Type.Enum(['A', 'B'], { type: 'string', description: 'whose logits it shall have' }),
      moved: Type.Object(Spread.properties, { description: '‖z − Φ(B)‖₂ / ‖Φ(B)‖₂ of its features z' }),
      logits: Type.Object(Spread.properties, { description: 'largest difference of a logit from the target' }),
      predicted: Type.Object(Share.properties, { description: 'pairs in which the class is that of the target' }),
      picture: Type.Object(
        {
          change: Type.Object(Spread.properties, { description: 'RMS between its picture and B, grey levels' }),
          fromA: Type.Object(Spread.properties, { description: 'RMS between its picture and A, grey levels' }),
          excess: Type.Object(Spread.properties, {
            description: 'RMS of how far pixel values leave 0 … 255, grey levels',
          }),
        },
        { description: 'Φ⁻¹ of its features' },
      ),
      rounded: Type.Object(
        {
          logits: Type.Object(Spread.properties, { description: 'as above' }),
          predicted: Type.Object(Share.properties, { description: 'as above' }),
        },
        { description: 'what is left when the picture is clipped, rounded to 8 bits and encoded again' },
      ),
    }),
  ),
  picture: Picture,
  columns: Type.Array(Type.String(), { description: 'what the columns of the picture show; a row is a pair' }),
});
type Result = Static<typeof result>;
type Row = Result['methods'][number];
type Floats = Tensor<'float32'>;

/** Features with their places permuted; channels alike or each by its own permutation. The mean over places stays. */
export function permutePlaces({ dims, data }: Floats, random: Random, alike: boolean): Floats {
  const [count, channels, height, width] = dims as [number, number, number, number];
  const places = height * width;
  const out = new Float32Array(data.length);
  for (let n = 0; n < count; n++) {
    let order = moving(places, random);
    for (let c = 0; c < channels; c++) {
      if (!alike) order = moving(places, random);
      const from = (n * channels + c) * places;
      for (let p = 0; p < places; p++) out[from + p] = data[from + order[p]!]!;
    }
  }
  return tensor('float32', dims, out);
}

/** A random permutation that moves something. */
function moving(count: number, random: Random): Uint32Array {
  for (;;) {
    const order = permutation(count, random);
    if (order.some((from, to) => from !== to)) return order;
  }
}

/** Features of B moved as far as `other` is, in a random direction. */
function randomlyMoved(z: Floats, other: Floats, random: Random): Floats {
  const size = z.data.length / z.dims[0]!;
  const out = Float32Array.from(z.data);
  for (let n = 0; n < z.dims[0]!; n++) {
    const direction = Float64Array.from({ length: size }, () => random() - 0.5);
    const length = Math.sqrt(direction.reduce((sum, v) => sum + v * v, 0));
    const [a, b] = [rows(z, n, n + 1).data, rows(other, n, n + 1).data];
    const far = Math.sqrt(a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0));
    for (let i = 0; i < size; i++) out[n * size + i]! += (direction[i]! * far) / length;
  }
  return tensor('float32', z.dims, out);
}

/** Pairs that are worked on at a time: so many numbers of canvases. */
const HELD = 2 ** 18;

async function run(context: Context, options: Options): Promise<Result> {
  const { images, labelled } = chosenImages(context, Number.POSITIVE_INFINITY, 2);
  const pairs = pairsOf(images, labelled, options.pairs, options.seed);
  if (pairs.length === 0)
    throw new AnalysisError('data-one-class', 'all images are of one class; expected two or more');
  const { network } = context.model;
  const together = Math.max(1, Math.floor(HELD / sizeOf(network.features)));
  const found: Found[] = [];
  await withPasses(context, network, async (passes) => {
    for (let from = 0; from < pairs.length; from += together) {
      found.push(...(await metamersOf(context, passes, images, pairs.slice(from, from + together), from, options)));
      context.progress('metamers: pairs', Math.min(from + together, pairs.length), pairs.length);
    }
  });
  const wanted = names.filter((method) => found.some((one) => one.method === method));
  const of = (method: Method) => found.filter((one) => one.method === method);
  const shown = Array.from({ length: Math.min(options.shown, pairs.length) }, (_, i) => {
    const first = of('newton')[i]!;
    return [first.a, first.b, ...wanted.map((method) => of(method)[i]!.picture)].map((levels) => levelsTile(levels, 0));
  });
  return {
    pairs: pairs.length,
    methods: wanted.map((method) => described(method, of(method))),
    picture: await sheetUrl(shown),
    columns: ['A', 'B', ...wanted],
  };
}

/** One metamer of one pair. */
interface Found {
  readonly method: Method;
  /** Grey levels [1, C, H, W] of A, B and the metamer. */
  readonly a: Floats;
  readonly b: Floats;
  readonly picture: Floats;
  readonly moved: number;
  readonly logits: number;
  readonly predicted: boolean;
  readonly roundedLogits: number;
  readonly roundedPredicted: boolean;
}

async function metamersOf(
  context: Context,
  passes: Passes,
  images: Images,
  pairs: readonly (readonly [number, number])[],
  from: number,
  options: Options,
): Promise<Found[]> {
  const { network } = passes;
  const pixels = pixelsOf(images);
  const canvasOf = (side: 0 | 1) =>
    passes.prepare(stack(pairs.map((pair) => rows(pixels, pair[side], pair[side] + 1))));
  const [canvasA, canvasB] = [await canvasOf(0), await canvasOf(1)];
  const [a, b] = [await passes.encode(canvasA), await passes.encode(canvasB)];
  const random = seeded(options.seed, 3, from);
  const newton = await reachLogits(
    context,
    { of: network.classify, classes: network.classes },
    b.features,
    a.logits,
    options,
  );
  const features: Partial<Record<Method, Floats>> = {
    ...(sizeOf(network.features.slice(1)) > 1 && {
      places: permutePlaces(b.features, random, true),
      channels: permutePlaces(b.features, random, false),
    }),
    newton,
    pixels: (await passes.encode(await changedPicture(context, passes, canvasB, a.logits, options))).features,
    control: randomlyMoved(b.features, newton, random),
  };
  const levels = [levelsOf(network, canvasA), levelsOf(network, canvasB)] as const;
  const found: Found[] = [];
  for (const [method, z] of Object.entries(features) as [Method, Floats][]) {
    const target = method === 'places' || method === 'channels' ? b.logits : a.logits;
    const { logits, picture, rounded } = await lookAt(passes, z);
    for (let n = 0; n < pairs.length; n++) {
      const one = <T extends Tensor>(t: T): T => rows(t, n, n + 1);
      found.push({
        method,
        a: one(levels[0]),
        b: one(levels[1]),
        picture: one(picture),
        moved: relativeError(one(b.features).data, one(z).data),
        logits: furthest(one(logits), one(target)),
        predicted: predictions(one(logits))[0] === predictions(one(target))[0],
        roundedLogits: furthest(one(rounded), one(target)),
        roundedPredicted: predictions(one(rounded))[0] === predictions(one(target))[0],
      });
    }
  }
  return found;
}

/** What there is to see of features. */
export interface Look {
  /** float32 [N, classes] */
  readonly logits: Floats;
  /** Grey levels of Φ⁻¹, float32 [N, C, H, W], neither rounded nor clipped. */
  readonly picture: Floats;
  /** The logits of the picture when it is clipped, rounded to 8 bits and encoded again. */
  readonly rounded: Floats;
}

/** Features [N, C, H, W] as the head sees them, and as the picture that has them. */
export async function lookAt(passes: Passes, z: Floats): Promise<Look> {
  const logits = await passes.head(z);
  const { canvas, pixels } = await passes.decode(z);
  const again = await passes.encode(await passes.prepare(pixels));
  return { logits, picture: levelsOf(passes.network, canvas), rounded: again.logits };
}

/** Canvases that are moved, within the range of pixels and with a black border, until their logits are the target. */
async function changedPicture(
  context: Context,
  passes: Passes,
  canvas: Floats,
  target: Floats,
  options: Options,
): Promise<Floats> {
  const { network } = passes;
  const scores = {
    of: (x: Value) => encode(network, x).logits,
    classes: network.classes,
    project: (x: Floats) => clipped(network, blackBorder(network, x)),
  };
  return passes.rounded(await reachLogits(context, scores, canvas, target, options));
}

/** The largest difference of a number from its counterpart. */
export const furthest = (a: Floats, b: Floats): number =>
  a.data.reduce((most, v, i) => Math.max(most, Math.abs(v - b.data[i]!)), 0);

const rms = (a: Floats, b: Floats): number =>
  Math.sqrt(a.data.reduce((sum, v, i) => sum + (v - b.data[i]!) ** 2, 0) / a.data.length);

function described(method: Method, found: readonly Found[]): Row {
  const count = (is: (one: Found) => boolean) => shareOf(found.filter(is).length, found.length);
  return {
    method,
    description: methods[method],
    target: method === 'places' || method === 'channels' ? 'B' : 'A',
    moved: spreadOf(found.map(({ moved }) => moved)),
    logits: spreadOf(found.map(({ logits }) => logits)),
    predicted: count(({ predicted }) => predicted),
    picture: {
      change: spreadOf(found.map(({ picture, b }) => rms(picture, b))),
      fromA: spreadOf(found.map(({ picture, a }) => rms(picture, a))),
      excess: spreadOf(found.map(({ picture }) => measures(picture).excess)),
    },
    rounded: {
      logits: spreadOf(found.map(({ roundedLogits }) => roundedLogits)),
      predicted: count(({ roundedPredicted }) => roundedPredicted),
    },
  };
}

function figure({ methods: found, picture, columns }: Result): Figure {
  const points = found.flatMap(({ method, predicted, rounded }) => [
    { method, when: 'features', ...ends(predicted) },
    { method, when: 'picture of 8 bits, encoded again', ...ends(rounded.predicted) },
  ]);
  const encoding = {
    y: { field: 'method', type: 'nominal', sort: columns, title: null },
    yOffset: { field: 'when' },
    color: { field: 'when', type: 'nominal', title: null, legend: { orient: 'top', labelLimit: 300 } },
  };
  const axis = {
    type: 'quantitative',
    scale: { domain: [0, 1] },
    axis: { format: '.0%' },
    title: 'pairs in which the class is that of the target, with 95% intervals',
  };
  return {
    columns: 2,
    resolve: { scale: { color: 'independent' } },
    concat: [
      pictured(picture, 'Pictures with the same logits', `columns: ${columns.join(', ')}; a row is a pair`),
      {
        title: { text: 'What the classifier says', subtitle: 'target: B of places and channels, A of the others' },
        width: PANEL.width,
        height: { step: 18 },
        data: { values: points },
        encoding,
        layer: [
          {
            mark: { type: 'rule', strokeWidth: 2, color: colours[0] },
            encoding: { x: { ...axis, field: 'low' }, x2: { field: 'high' } },
          },
          { mark: { type: 'point' }, encoding: { x: { ...axis, field: 'share' } } },
        ],
      },
      {
        title: 'How far its picture is from B',
        width: PANEL.width,
        height: { step: 24 },
        data: {
          values: found.map(({ method, picture: { change } }) => ({
            method,
            rms: change.median,
            low: change.minimum,
            high: change.maximum,
          })),
        },
        encoding: { y: { field: 'method', type: 'nominal', sort: columns, title: null } },
        layer: [
          {
            mark: { type: 'rule', strokeWidth: 2 },
            encoding: {
              x: { field: 'low', type: 'quantitative', title: 'RMS, grey levels: median and extremes' },
              x2: { field: 'high' },
            },
          },
          { mark: { type: 'point' }, encoding: { x: { field: 'rms', type: 'quantitative' } } },
        ],
      },
    ],
  } as unknown as Figure;
}

const ends = ({ share, interval: [low, high] }: Share) => ({ share, low, high });

/** Different pictures with the same logits. */
export const metamers = experiment({
  name: 'metamers',
  title: 'Metamers',
  description:
    'Pictures that the classifier cannot tell apart, although they look different: places of the features permuted, and features moved to the logits of another image (Jacobsen et al. 2019, Excessive Invariance); and what is left of it in a picture of 8 bits.',
  needs: { inverse: true },
  options,
  result,
  run,
  figure,
});

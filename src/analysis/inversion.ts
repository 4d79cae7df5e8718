import { type Static, Type } from 'typebox';
import { type Images, pixelsOf, slice } from '../../export/data/images.js';
import { noiseImages } from '../../export/data/noise.js';
import { type Graph, input } from '../../export/graph/graph.js';
import { rows } from '../../export/graph/rows.js';
import { sizeOf, type Tensor, tensor } from '../../export/graph/tensor.js';
import { relativeError } from '../../export/model/measure.js';
import { onGrid } from '../../export/model/open.js';
import { encode, type Network, type State } from '../../export/networks/index.js';
import { FINEST_GRID } from '../../export/networks/irevnet.js';
import { minus, peakOf, residualTile, tileOf } from '../images/sheet.js';
import { chosenImages } from './chosen.js';
import { type Context, withGraph } from './context.js';
import { depths, depthsOf } from './depths.js';
import { experiment } from './experiment.js';
import { gradientSigns, moved } from './fgsm.js';
import type { Figure } from './figure.js';
import { canvasShape } from './jacobian.js';
import { countCorrect, predictions } from './logits.js';
import { PANEL } from './panel.js';
import { blackBorder, levelsOf, type Passes, withPasses } from './passes.js';
import { Picture, pictured, sheetUrl } from './pictures.js';
import { Share, Spread, seed, shareOf, spreadOf } from './statistics.js';

const Grid = Type.Union([Type.Integer({ minimum: 1, maximum: FINEST_GRID }), Type.Null()], {
  description: 'k: streams lie on multiples of 2^-k; null: plain floats',
});

const options = Type.Object({
  images: Type.Integer({ minimum: 1, default: 1000, description: 'images in every set' }),
  grids: Type.Array(Type.Integer({ minimum: 0, maximum: FINEST_GRID }), {
    default: [0, 6, 8, 10, 12, 14, 16, 18],
    description: "k of the grids beside the model's own: streams on multiples of 2^-k; 0: plain floats",
  }),
  strength: Type.Integer({ minimum: 1, maximum: 255, default: 16, description: 'grey levels of FGSM' }),
  scales: Type.Array(Type.Number({ exclusiveMinimum: 0 }), {
    default: [4, 32, 256],
    description: 'what normalised images are multiplied by: they leave the range of pixels',
  }),
  byDepth: Type.Integer({ minimum: 1, default: 100, description: 'images that are inverted from every depth' }),
  depths,
  seed,
});
type Options = Static<typeof options>;

const RelativeError = Type.Union([Spread, Type.Null()], {
  description:
    '‖x − Φ⁻¹(Φ(x))‖₂ / ‖x‖₂ of an image x, normalised, with its padding; of those where it is finite, null where it nowhere is',
});
const Bin = Type.Object({
  from: Type.Number({ description: 'log10 of the least error in the bin' }),
  count: Type.Integer({ description: 'images' }),
});

const Back = {
  grid: Grid,
  images: Type.Integer(),
  error: RelativeError,
  notFinite: Type.Integer({ description: 'images that come back as NaN or infinite' }),
  exactFloat: Type.Object(Share.properties, { description: 'images back in every float32 bit' }),
  exactPixels: Type.Union([Share, Type.Null()], {
    description: 'images back in every 8-bit pixel; null where they are no pictures',
  }),
};

const result = Type.Object({
  grid: Grid,
  grids: Type.Array(
    Type.Object({
      ...Back,
      accuracy: Type.Union([Share, Type.Null()], { description: 'images classified rightly; null without labels' }),
    }),
    { description: 'test images, by grid' },
  ),
  sets: Type.Array(
    Type.Object({
      set: Type.String(),
      description: Type.String(),
      ...Back,
      histogram: Type.Array(Bin, { description: 'errors above 0, in bins of half a power of ten' }),
    }),
    { description: "images of several kinds, on the model's grid and on plain floats" },
  ),
  byDepth: Type.Array(Type.Object({ depth: Type.Integer({ description: 'blocks that are run and undone' }), ...Back })),
  lost: Type.Union(
    [
      Type.Object({
        set: Type.String(),
        grid: Grid,
        image: Type.Integer({ description: 'number within its set' }),
        pixels: Type.Integer({ description: 'pixels that differ' }),
        largest: Type.Number({ description: 'largest difference, grey levels' }),
        scale: Type.Number({ description: 'grey levels that the residual shows as white (above) and black (below)' }),
        picture: Picture,
      }),
      Type.Null(),
    ],
    {
      description:
        'the image that lost the most pixels: itself, what comes back, and the residual; null where none did',
    },
  ),
  border: Type.Union(
    [
      Type.Object({
        padding: Type.Integer({ description: 'pixels of black around an image, cropped from what is decoded' }),
        midpoints: Type.Integer({ description: 'pairs of images whose features were averaged' }),
        rms: Type.Object(Spread.properties, { description: 'what decoding a midpoint puts there, RMS in grey levels' }),
        control: Type.Object(Spread.properties, { description: 'the same for features of images' }),
        features: Type.Object(Spread.properties, {
          description: '‖z − Φ(crop Φ⁻¹(z))‖₂ / ‖z‖₂ of a midpoint z: how far cropping takes it',
        }),
      }),
      Type.Null(),
    ],
    { description: 'null where images are not padded' },
  ),
});
type Result = Static<typeof result>;

type Floats = Tensor<'float32'>;

/** Makes some images into canvases of one kind; into pixels too where they are pictures. */
type Kind = (passes: Passes, images: Images) => Promise<{ canvas: Floats; pixels?: Tensor<'uint8'> }>;

interface ImageSet {
  readonly set: string;
  readonly description: string;
  readonly make: Kind;
}

const asPixels =
  (
    change: (pixels: Tensor<'uint8'>, passes: Passes, images: Images) => Tensor<'uint8'> | Promise<Tensor<'uint8'>>,
  ): Kind =>
  async (passes, images) => {
    const pixels = await change(pixelsOf(images), passes, images);
    return { canvas: await passes.prepare(pixels), pixels };
  };

const each = (pixels: Tensor<'uint8'>, change: (level: number) => number): Tensor<'uint8'> =>
  tensor('uint8', pixels.dims, pixels.data.map(change));

const predicted = async ({ prepare, encode }: Passes, pixels: Tensor<'uint8'>): Promise<number[]> =>
  predictions((await encode(await prepare(pixels))).logits);

/** Images as they are, and far from the data. */
const imageSets = ({ strength, scales, seed }: Options, labelled: boolean): ImageSet[] => [
  { set: 'data', description: 'test images', make: asPixels((pixels) => pixels) },
  {
    set: 'noise',
    description: 'uniformly random pixels',
    make: asPixels((_, { network }, { count }) => pixelsOf(noiseImages(count, network.input, seed))),
  },
  { set: 'negated', description: '255 − pixel', make: asPixels((pixels) => each(pixels, (v) => 255 - v)) },
  {
    set: 'saturated',
    description: 'pixels below 128 are 0, others 255',
    make: asPixels((pixels) => each(pixels, (v) => (v < 128 ? 0 : 255))),
  },
  {
    set: 'FGSM',
    description: `moved by ${strength} grey levels along the sign of the gradient of the loss`,
    make: asPixels(async (pixels, passes, { labels }) =>
      moved(pixels, await gradientSigns(passes, pixels, labelled ? labels : await predicted(passes, pixels)), strength),
    ),
  },
  ...scales.map((scale) => ({
    set: `scaled ×${scale}`,
    description: `normalised images times ${scale}, outside the range of pixels`,
    make: async (passes: Passes, images: Images) => {
      const canvas = await passes.prepare(pixelsOf(images));
      return {
        canvas: await passes.rounded(
          tensor(
            'float32',
            canvas.dims,
            canvas.data.map((v) => v * scale),
          ),
        ),
      };
    },
  })),
];

/** What came back of the images of a set. */
interface Returned {
  readonly errors: number[];
  exactFloat: number;
  exactPixels: number;
  /** Whether the images are pictures. */
  pictures: boolean;
  correct: number;
  /** The image that lost the most pixels. */
  worst: Lost | undefined;
}

const nothing = (): Returned => ({
  errors: [],
  exactFloat: 0,
  exactPixels: 0,
  pictures: false,
  correct: 0,
  worst: undefined,
});

/** Which images lost something. */
interface Where {
  readonly set: string;
  readonly grid: number | null;
}

interface Lost {
  readonly image: number;
  readonly pixels: number;
  readonly back: Floats;
  readonly before: Tensor<'uint8'>;
  readonly after: Tensor<'uint8'>;
}

/** Numbers of canvases that are in memory at a time. */
const HELD = 2 ** 21;

/** Images of which so many fit in memory, one slice after the other. */
function* slicesOf(images: Images, network: Network): Generator<readonly [from: number, Images]> {
  const size = Math.max(1, Math.floor(HELD / sizeOf(canvasShape(network))));
  for (let from = 0; from < images.count; from += size)
    yield [from, slice(images, from, Math.min(from + size, images.count))];
}

async function run(context: Context, options: Options): Promise<Result> {
  const { images, labelled } = chosenImages(context, options.images);
  const { model, progress } = context;
  const own = model.network.grid;
  const grids = [...new Set([own, ...options.grids.map((k) => (k === 0 ? null : k))])];
  const kinds = imageSets(options, labelled);
  const found: Result = { grid: own, grids: [], sets: [], byDepth: [], lost: null, border: null };
  let most: (Lost & Where) | undefined;
  for (const [g, grid] of grids.entries()) {
    const thorough = grid === own || grid === null;
    await withPasses(context, onGrid(model, grid), async (passes) => {
      for (const [k, { set, description, make }] of (thorough ? kinds : kinds.slice(0, 1)).entries()) {
        const returned = await roundTrips(passes, images, make);
        const back = backOf(returned, grid);
        const accuracy = labelled ? shareOf(returned.correct, images.count) : null;
        if (k === 0) found.grids.push({ ...back, accuracy });
        if (thorough) found.sets.push({ set, description, ...back, histogram: histogram(returned.errors) });
        if (returned.worst && returned.worst.pixels > (most?.pixels ?? 0)) most = { ...returned.worst, set, grid };
        progress(`inversion: grid ${grid ?? 'none'} (${g + 1} of ${grids.length}), sets`, k + 1, kinds.length);
      }
      if (grid === own && model.network.input.padding > 0) found.border = await borderOf(passes, images);
    });
  }
  const some = slice(images, 0, Math.min(options.byDepth, images.count));
  const wanted = depthsOf(model.network, options.depths, 1);
  for (const grid of new Set([own, null]))
    found.byDepth.push(...(await everyDepth(context, onGrid(model, grid), some, wanted)));
  return { ...found, lost: most ? await drawn(model.network, most) : null };
}

async function roundTrips(passes: Passes, images: Images, make: Kind): Promise<Returned> {
  const found = nothing();
  for (const [from, some] of slicesOf(images, passes.network)) {
    const { canvas, pixels } = await make(passes, some);
    const { features, logits } = await passes.encode(canvas);
    const back = await passes.decode(features);
    compare(found, canvas, back.canvas);
    found.correct += countCorrect(logits, some.labels);
    if (pixels) comparePixels(found, from, back.canvas, pixels, back.pixels);
  }
  return found;
}

/** Adds the errors of some images to those found before. */
function compare(found: Returned, canvas: Floats, back: Floats): void {
  for (let n = 0; n < canvas.dims[0]!; n++) {
    const [before, after] = [rows(canvas, n, n + 1).data, rows(back, n, n + 1).data];
    found.errors.push(relativeError(before, after));
    if (before.every((v, i) => v === after[i])) found.exactFloat++;
  }
}

function comparePixels(
  found: Returned,
  from: number,
  back: Floats,
  before: Tensor<'uint8'>,
  after: Tensor<'uint8'>,
): void {
  found.pictures = true;
  for (let n = 0; n < before.dims[0]!; n++) {
    const [a, b] = [rows(before, n, n + 1), rows(after, n, n + 1)];
    const pixels = a.data.reduce((count, v, i) => count + Number(v !== b.data[i]), 0);
    if (pixels === 0) found.exactPixels++;
    if (pixels <= (found.worst?.pixels ?? 0)) continue;
    found.worst = {
      image: from + n,
      pixels,
      back: rows(back, n, n + 1),
      before: a,
      after: b,
    };
  }
}

function backOf({ errors, exactFloat, exactPixels, pictures }: Returned, grid: number | null) {
  const finite = errors.filter(Number.isFinite);
  return {
    grid,
    images: errors.length,
    error: finite.length > 0 ? spreadOf(finite) : null,
    notFinite: errors.length - finite.length,
    exactFloat: shareOf(exactFloat, errors.length),
    exactPixels: pictures ? shareOf(exactPixels, errors.length) : null,
  };
}

/** Errors above 0 in bins of half a power of ten. */
function histogram(errors: readonly number[]): Result['sets'][number]['histogram'] {
  const counts = new Map<number, number>();
  for (const error of errors) {
    if (!(error > 0 && Number.isFinite(error))) continue;
    const from = Math.floor(2 * Math.log10(error)) / 2;
    counts.set(from, (counts.get(from) ?? 0) + 1);
  }
  return [...counts].map(([from, count]) => ({ from, count })).sort((a, b) => a.from - b.from);
}

const streamName = (depth: number, stream: number): string => `depth${depth}.${stream}`;

/** Pixels → the canvas, and the streams after a block. */
function statesGraph(network: Network, depths: readonly number[]): Graph {
  const { height, width, channels } = network.input;
  const pixels = input('pixels', 'uint8', ['N', height, width, channels]);
  const canvas = network.pixels.forward(pixels);
  const { states } = encode(network, canvas);
  const streams = depths.flatMap((depth) => states[depth]!.map((stream, s) => [streamName(depth, s), stream] as const));
  return { name: 'states', inputs: [pixels], outputs: { canvas, ...Object.fromEntries(streams) } };
}

/** The streams after a block → the canvas: a graph of its own, which knows nothing that Φ computed. */
function undoGraph(network: Network, depth: number): Graph {
  const { stem, blocks } = network;
  const state = encode(network, input('x', 'float32', ['N', ...canvasShape(network)])).states[depth]!;
  const streams = state.map((stream, s) => input(streamName(depth, s), 'float32', stream.type.shape));
  const first = blocks.slice(0, depth).reduceRight<State>((undone, block) => block.inverse!(undone), streams);
  return { name: 'undo', inputs: streams, outputs: { canvas: stem.inverse!(first) } };
}

async function everyDepth(
  context: Context,
  network: Network,
  images: Images,
  depths: readonly number[],
): Promise<Result['byDepth']> {
  const { weights } = context.model;
  const found: Result['byDepth'] = [];
  await withGraph(context, statesGraph(network, depths), weights, async (states) => {
    for (const [done, depth] of depths.entries()) {
      const graph = undoGraph(network, depth);
      const names = graph.inputs.map((_, s) => streamName(depth, s));
      await withGraph(context, graph, weights, async (undo) => {
        const returned = nothing();
        for (const [, some] of slicesOf(images, network)) {
          const { canvas, ...streams } = await states.run({ pixels: pixelsOf(some) }, ['canvas', ...names]);
          compare(returned, canvas as Floats, (await undo.run(streams)).canvas as Floats);
        }
        found.push({ depth, ...backOf(returned, network.grid) });
      });
      context.progress('inversion: depths', done + 1, depths.length);
    }
  });
  return found;
}

/** What decoding the mean of the features of two images puts into the border that is cropped. */
async function borderOf(passes: Passes, images: Images): Promise<Result['border']> {
  const [, some] = [...slicesOf(images, passes.network)][0]!;
  const pairs = some.count - 1;
  if (pairs < 1) return null;
  const { features } = await passes.encode(await passes.prepare(pixelsOf(some)));
  const size = features.data.length / some.count;
  // Images n and n + 1: the data set is not sorted by class.
  const means = Float32Array.from(
    { length: pairs * size },
    (_, i) => (features.data[i]! + features.data[i + size]!) / 2,
  );
  const midpoints = tensor('float32', [pairs, ...features.dims.slice(1)], means);
  const decoded = await passes.decode(midpoints);
  const again = await passes.encode(await passes.rounded(blackBorder(passes.network, decoded.canvas)));
  return {
    padding: passes.network.input.padding,
    midpoints: pairs,
    rms: spreadOf(borderRms(passes.network, decoded.canvas)),
    control: spreadOf(borderRms(passes.network, (await passes.decode(features)).canvas)),
    features: spreadOf(
      Array.from({ length: pairs }, (_, n) =>
        relativeError(rows(midpoints, n, n + 1).data, rows(again.features, n, n + 1).data),
      ),
    ),
  };
}

/** RMS, in grey levels, of how far the border of each canvas is from black. */
function borderRms({ input: { padding, mean, std } }: Network, { dims, data }: Floats): number[] {
  const [count, channels, height, width] = dims as [number, number, number, number];
  const inside = (at: number, size: number) => at >= padding && at < size - padding;
  return Array.from({ length: count }, (_, n) => {
    let [sum, elements] = [0, 0];
    for (let i = 0; i < channels * height * width; i++) {
      const [c, y, x] = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
      if (inside(y, height) && inside(x, width)) continue;
      sum += (255 * (data[n * channels * height * width + i]! * std[c]! + mean[c]!)) ** 2;
      elements++;
    }
    return Math.sqrt(sum / elements);
  });
}

/** Pixels [N, H, W, C] as grey levels [N, C, H, W]. */
function asLevels({ dims, data }: Tensor<'uint8'>): Floats {
  const [count, height, width, channels] = dims as [number, number, number, number];
  const plane = height * width;
  const level = (_: unknown, i: number) => {
    const [n, c, at] = [Math.floor(i / (channels * plane)), Math.floor(i / plane) % channels, i % plane];
    return data[(n * plane + at) * channels + c]!;
  };
  return tensor('float32', [count, channels, height, width], Float32Array.from({ length: data.length }, level));
}

async function drawn(network: Network, { set, grid, image, pixels, back, before, after }: Lost & Where) {
  // From the pixels, not from the canvas: a coarse grid loses them before Φ, which then gives the canvas back exactly.
  const residual = minus(levelsOf(network, back), asLevels(before));
  const largest = peakOf(residual, 0);
  const picture = await sheetUrl([[tileOf(before, 0), tileOf(after, 0), residualTile(residual, 0, largest)]]);
  return { set, grid, image, pixels, largest, scale: largest, picture };
}

/** Errors of 0 are drawn here: a logarithm has no place for them. */
const ZERO = 1e-9;

const shown = (error: number): number => Math.max(error, ZERO);
const arithmetic = (grid: number | null): string => (grid === null ? 'plain floats' : `grid, k = ${grid}`);

const errorAxis = {
  type: 'quantitative',
  scale: { type: 'log', nice: false },
  title: 'relative error ‖x − Φ⁻¹Φx‖ / ‖x‖',
  axis: { labelExpr: `datum.value <= ${ZERO} ? '0' : format(datum.value, '.0e')`, tickCount: 6, gridOpacity: 0.5 },
} as const;

const colour = { field: 'arithmetic', type: 'nominal', title: null, legend: { orient: 'top' } } as const;

function figure({ sets, grids, byDepth, lost }: Result): Figure {
  const spread = (rows: readonly Result['sets'][number][]) =>
    rows.flatMap(({ set, grid, error, exactFloat }) =>
      error === null
        ? []
        : [
            {
              set,
              arithmetic: arithmetic(grid),
              median: shown(error.median),
              maximum: shown(error.maximum),
              exact: `${percent(exactFloat.share)} in every bit`,
            },
          ],
    );
  const order = [...new Set(sets.map(({ set }) => set))];
  const panels = [
    {
      title: 'On the data and far from it: median to maximum',
      data: { values: spread(sets) },
      height: { step: 15, for: 'offset' },
      encoding: {
        y: { field: 'set', type: 'nominal', sort: order, title: null },
        yOffset: { field: 'arithmetic' },
        color: colour,
      },
      layer: [
        {
          mark: { type: 'rule', strokeWidth: 3 },
          encoding: { x: { ...errorAxis, field: 'median' }, x2: { field: 'maximum' } },
        },
        { mark: { type: 'point' }, encoding: { x: { ...errorAxis, field: 'median' } } },
        {
          mark: { type: 'text', align: 'left', dx: 8, fontSize: 10 },
          encoding: { x: { field: 'maximum', type: 'quantitative' }, text: { field: 'exact' } },
        },
      ],
    },
    {
      title: 'By grid: images back in every float bit and in every pixel',
      data: {
        values: [...grids]
          .sort((a, b) => (a.grid ?? 99) - (b.grid ?? 99))
          .flatMap(({ grid, exactFloat, exactPixels, accuracy }) => [
            { grid: grid === null ? 'none' : `${grid}`, what: 'every float bit', share: exactFloat.share },
            { grid: grid === null ? 'none' : `${grid}`, what: 'every pixel', share: exactPixels!.share },
            ...(accuracy
              ? [{ grid: grid === null ? 'none' : `${grid}`, what: 'classified rightly', share: accuracy.share }]
              : []),
          ]),
      },
      width: PANEL.width,
      mark: { type: 'line', point: true },
      encoding: {
        x: {
          field: 'grid',
          type: 'ordinal',
          sort: null,
          title: 'k: streams on multiples of 2⁻ᵏ',
          axis: { labelAngle: 0 },
        },
        y: {
          field: 'share',
          type: 'quantitative',
          title: 'share of images',
          axis: { format: '.0%' },
          scale: { domain: [0, 1] },
        },
        color: { field: 'what', type: 'nominal', title: null, legend: { orient: 'top' } },
        strokeDash: { field: 'what', type: 'nominal', legend: null },
      },
    },
    {
      title: 'Undone from every depth: median error',
      data: {
        values: byDepth.flatMap(({ depth, grid, error }) =>
          error === null ? [] : [{ depth, arithmetic: arithmetic(grid), error: shown(error.median) }],
        ),
      },
      mark: { type: 'line', point: true },
      encoding: {
        x: { field: 'depth', type: 'quantitative', title: 'blocks', axis: { tickMinStep: 1 } },
        y: { ...errorAxis, field: 'error' },
        color: colour,
      },
    },
    ...(lost === null
      ? []
      : [
          pictured(
            lost.picture,
            `${lost.set}, image ${lost.image + 1}, ${arithmetic(lost.grid)}: itself, what comes back, the residual`,
            `${lost.pixels} pixels differ; white is +${lost.scale.toPrecision(3)}, black −${lost.scale.toPrecision(3)} grey levels`,
          ),
        ]),
  ];
  return { concat: panels, columns: 2, resolve: { scale: { color: 'independent' } } } as unknown as Figure;
}

const percent = (share: number): string => `${(100 * share).toFixed(share === 1 || share === 0 ? 0 : 1)}%`;

/** Φ⁻¹(Φ(x)) against x. */
export const inversion = experiment({
  name: 'inversion',
  title: 'Inversion error',
  description:
    'How exactly Φ⁻¹ undoes Φ: on images and far from them, by grid and by depth, and what is put into the border that is cropped.',
  needs: { inverse: true },
  options,
  result,
  run,
  figure,
});

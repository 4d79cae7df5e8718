import { type Static, Type } from 'typebox';
import { type Images, pixelsOf, slice } from '../../export/data/images.js';
import { noiseImages } from '../../export/data/noise.js';
import { type Graph, input } from '../../export/graph/graph.js';
import { rows } from '../../export/graph/rows.js';
import { sizeOf, type Tensor, tensor } from '../../export/graph/tensor.js';
import { emitInline } from '../../export/model/graphs.js';
import { relativeError } from '../../export/model/measure.js';
import { onGrid } from '../../export/model/open.js';
import { ConfigError, encode, isInvertible, type Network, type State } from '../../export/networks/index.js';
import { FINEST_GRID } from '../../export/networks/irevnet.js';
import { openSession } from '../../export/runtime/session.js';
import { gradientSigns, moved } from './fgsm.js';
import { canvasShape } from './jacobian.js';
import { countCorrect } from './logits.js';
import { blackBorder, levelsOf, openPasses, type Passes } from './passes.js';
import { minus, Picture, peakOf, residualTile, sheetUrl, tileOf } from './pictures.js';
import { Share, Spread, shareOf, spreadOf } from './statistics.js';
import type { Subject } from './subject.js';

const Grid = Type.Union([Type.Integer({ minimum: 1, maximum: FINEST_GRID }), Type.Null()], {
  description: 'k: streams lie on multiples of 2^-k; null: plain floats',
});

export const InversionOptions = Type.Object(
  {
    images: Type.Integer({ minimum: 1, default: 1000, description: 'images in every set' }),
    grids: Type.Array(Grid, {
      default: [null, 6, 8, 10, 12, 14, 16, 18],
      description: "beside the model's own",
    }),
    strength: Type.Integer({ minimum: 1, maximum: 255, default: 16, description: 'grey levels of FGSM' }),
    scales: Type.Array(Type.Number({ exclusiveMinimum: 0 }), {
      default: [4, 32, 256],
      description: 'what normalised images are multiplied by: they leave the range of pixels',
    }),
    byDepth: Type.Integer({ minimum: 1, default: 100, description: 'images that are inverted from every depth' }),
    depths: Type.Optional(
      Type.Array(Type.Integer({ minimum: 1 }), { description: 'blocks; default: all, or 16 evenly spread' }),
    ),
    seed: Type.Integer({ default: 1 }),
  },
  { additionalProperties: false },
);
export type InversionOptions = Static<typeof InversionOptions>;

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

export const InversionResult = Type.Object({
  grid: Grid,
  grids: Type.Array(
    Type.Object({
      ...Back,
      accuracy: Type.Object(Share.properties, { description: 'test images classified rightly' }),
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
export type InversionResult = Static<typeof InversionResult>;

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

/** Images as they are, and far from the data. */
const imageSets = ({ strength, scales, seed }: InversionOptions): ImageSet[] => [
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
      moved(pixels, await gradientSigns(passes, pixels, labels), strength),
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

interface Lost {
  readonly image: number;
  readonly pixels: number;
  readonly canvas: Floats;
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

/**
 * How exactly Φ⁻¹ undoes Φ: by grid, on data and far from it, and by depth. i-RevNet paper, section 4.1; for inputs far from
 * the data "Understanding and Mitigating Exploding Inverses" (Behrmann et al. 2021).
 * @throws ConfigError where the network has no inverse
 */
export async function inversion(subject: Subject, options: InversionOptions): Promise<InversionResult> {
  const { model, threads, progress = () => {}, signal } = subject;
  if (!isInvertible(model.network))
    throw new ConfigError(`${model.manifest.name} has no inverse, so there is no inversion to measure`);
  const images = slice(subject.images, 0, Math.min(options.images, subject.images.count));
  const own = model.network.grid;
  const grids = [...new Set([own, ...options.grids])];
  const kinds = imageSets(options);
  const result: InversionResult = { grid: own, grids: [], sets: [], byDepth: [], lost: null, border: null };
  let most: (Lost & { set: string; grid: number | null }) | undefined;
  let done = 0;
  const total = grids.length + 2 * kinds.length + 2;
  for (const grid of grids) {
    const passes = openPasses(onGrid(model, grid), model.weights, threads);
    try {
      for (const { set, description, make } of grid === own || grid === null ? kinds : kinds.slice(0, 1)) {
        const found = await roundTrips(passes, images, make, signal);
        const back = backOf(found, grid);
        if (set === 'data') result.grids.push({ ...back, accuracy: shareOf(found.correct, images.count) });
        if (grid === own || grid === null)
          result.sets.push({ set, description, ...back, histogram: histogram(found.errors) });
        if (found.worst && found.worst.pixels > (most?.pixels ?? 0)) most = { ...found.worst, set, grid };
        progress(++done, total);
      }
      if (grid === own && model.network.input.padding > 0) result.border = await borderOf(passes, images);
    } finally {
      await passes.close();
    }
  }
  for (const grid of new Set([own, null])) {
    const some = slice(images, 0, Math.min(options.byDepth, images.count));
    result.byDepth.push(...(await everyDepth(subject, onGrid(model, grid), some, options.depths)));
    progress(++done, total);
  }
  if (most) result.lost = await drawn(model.network, most);
  return result;
}

async function roundTrips(passes: Passes, images: Images, make: Kind, signal?: AbortSignal): Promise<Returned> {
  const found: Returned = { errors: [], exactFloat: 0, exactPixels: 0, pictures: false, correct: 0, worst: undefined };
  for (const [from, some] of slicesOf(images, passes.network)) {
    signal?.throwIfAborted();
    const { canvas, pixels } = await make(passes, some);
    const { features, logits } = await passes.encode(canvas);
    const back = await passes.decode(features);
    compare(found, canvas, back.canvas);
    found.correct += countCorrect(logits, some.labels);
    if (pixels) comparePixels(found, from, canvas, back.canvas, pixels, back.pixels);
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
  canvas: Floats,
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
      canvas: rows(canvas, n, n + 1),
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
function histogram(errors: readonly number[]): InversionResult['sets'][number]['histogram'] {
  const counts = new Map<number, number>();
  for (const error of errors) {
    if (!(error > 0 && Number.isFinite(error))) continue;
    const from = Math.floor(2 * Math.log10(error)) / 2;
    counts.set(from, (counts.get(from) ?? 0) + 1);
  }
  return [...counts].map(([from, count]) => ({ from, count })).sort((a, b) => a.from - b.from);
}

/** Depths that are measured when none are named. */
const MOST_DEPTHS = 16;

/** 1 to `blocks`, or so many of them, evenly spread; the last is among them. */
export const spreadDepths = (blocks: number, most = MOST_DEPTHS): number[] => {
  const count = Math.min(blocks, most);
  return Array.from({ length: count }, (_, i) => Math.round(((i + 1) * blocks) / count));
};

/** Pixels → the canvas, and the streams after a block. */
function statesGraph(network: Network, depths: readonly number[]): Graph {
  const { height, width, channels } = network.input;
  const pixels = input('pixels', 'uint8', ['N', height, width, channels]);
  const canvas = network.pixels.forward(pixels);
  const { states } = encode(network, canvas);
  const streams = depths.flatMap((depth) => states[depth]!.map((stream, s) => [`depth${depth}.${s}`, stream] as const));
  return { name: 'states', inputs: [pixels], outputs: { canvas, ...Object.fromEntries(streams) } };
}

/** The streams after a block → the canvas: a graph of its own, which knows nothing that Φ computed. */
function undoGraph(network: Network, depth: number): Graph {
  const { stem, blocks } = network;
  const state = encode(network, input('x', 'float32', ['N', ...canvasShape(network)])).states[depth]!;
  const streams = state.map((stream, s) => input(`depth${depth}.${s}`, 'float32', stream.type.shape));
  const first = blocks.slice(0, depth).reduceRight<State>((undone, block) => block.inverse!(undone), streams);
  return { name: 'undo', inputs: streams, outputs: { canvas: stem.inverse!(first) } };
}

async function everyDepth(
  { model, threads, signal }: Subject,
  network: Network,
  images: Images,
  wanted: readonly number[] = spreadDepths(network.blocks.length),
): Promise<InversionResult['byDepth']> {
  const blocks = network.blocks.length;
  const beyond = wanted.find((depth) => depth > blocks);
  if (beyond !== undefined) throw new ConfigError(`depth ${beyond} is asked for; the network has ${blocks} blocks`);
  const result: InversionResult['byDepth'] = [];
  const states = await openSession(emitInline(statesGraph(network, wanted), model.weights), { threads });
  try {
    for (const depth of wanted) {
      const undo = await openSession(emitInline(undoGraph(network, depth), model.weights), { threads });
      const found: Returned = {
        errors: [],
        exactFloat: 0,
        exactPixels: 0,
        pictures: false,
        correct: 0,
        worst: undefined,
      };
      for (const [, some] of slicesOf(images, network)) {
        signal?.throwIfAborted();
        const { canvas, ...streams } = await states.run({ pixels: pixelsOf(some) }, ['canvas', ...undo.inputNames]);
        compare(found, canvas as Floats, (await undo.run(streams)).canvas as Floats);
      }
      await undo.release();
      result.push({ depth, ...backOf(found, network.grid) });
    }
    return result;
  } finally {
    await states.release();
  }
}

/** What decoding the mean of the features of two images puts into the border that is cropped. */
async function borderOf(passes: Passes, images: Images): Promise<InversionResult['border']> {
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

async function drawn(
  network: Network,
  { set, grid, image, pixels, canvas, back, before, after }: Lost & { set: string; grid: number | null },
) {
  const residual = minus(levelsOf(network, back), levelsOf(network, canvas));
  const largest = peakOf(residual, 0);
  const picture = await sheetUrl([[tileOf(before, 0), tileOf(after, 0), residualTile(residual, 0, largest)]]);
  return { set, grid, image, pixels, largest, scale: largest, picture };
}

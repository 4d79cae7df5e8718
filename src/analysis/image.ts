import { type Static, Type } from 'typebox';
import { pixelsOf } from '../../export/data/images.js';
import { type Graph, input } from '../../export/graph/graph.js';
import { concat } from '../../export/graph/ops/movement.js';
import { rows } from '../../export/graph/rows.js';
import { sizeOf, type Tensor, tensor } from '../../export/graph/tensor.js';
import { relativeError } from '../../export/model/measure.js';
import { encode, isInvertible, type Network } from '../../export/networks/network.js';
import { levelsTile, minus, peakOf, residualTile, type Tile } from '../images/sheet.js';
import { topOf } from '../operations/classify.js';
import { chosenImages } from './chosen.js';
import { Spectrum, spectrumOf } from './conditioning.js';
import { type Context, withGraph } from './context.js';
import { depths, depthsOf } from './depths.js';
import { experiment } from './experiment.js';
import type { Figure } from './figure.js';
import { canvasShape } from './jacobian.js';
import { margins } from './logits.js';
import { levelsOf, type Passes, withPasses } from './passes.js';
import { Picture, pictured, sheetUrl } from './pictures.js';

/** The most inputs of which the spectrum is taken: seconds. */
const SMALL = 1024;

const options = Type.Object({
  topK: Type.Integer({ minimum: 1, default: 5, description: 'labels, best first; at most all' }),
  spectrum: Type.Boolean({
    default: true,
    description: `take every singular value of ∂Φ, where the canvas has at most ${SMALL} elements`,
  }),
  channels: Type.Integer({ minimum: 1, maximum: 64, default: 8, description: 'channels that are shown of a depth' }),
  depths,
});
type Options = Static<typeof options>;

const result = Type.Object({
  name: Type.String({ description: 'of the picture, or its class' }),
  input: Type.Object({ picture: Picture }, { description: 'what the network saw' }),
  top: Type.Array(Type.Object({ index: Type.Integer(), label: Type.String(), probability: Type.Number() })),
  margin: Type.Number({ description: 'the largest logit minus the second' }),
  inversion: Type.Union(
    [
      Type.Object({
        relativeError: Type.Number({ description: '‖x − Φ⁻¹(Φ(x))‖₂ / ‖x‖₂' }),
        largest: Type.Number({ description: 'largest difference, grey levels' }),
        exactFloat: Type.Boolean({ description: 'every float32 bit came back' }),
        exactPixels: Type.Boolean({ description: 'every 8-bit pixel came back' }),
        picture: Type.String({
          description: 'what came back, and the residual: its largest is white or black; a PNG as a data URL',
        }),
      }),
      Type.Null(),
    ],
    { description: 'null where the network has no inverse' },
  ),
  gradient: Type.Number({ description: 'norm of the gradient of the cross-entropy of the best label, per grey level' }),
  spectrum: Type.Union([Type.Omit(Spectrum, ['image', 'label']), Type.Null()], {
    description: `singular values of ∂Φ; null where the canvas has more than ${SMALL} elements, or none were asked for`,
  }),
  maps: Type.Array(
    Type.Object({
      depth: Type.Integer({ description: 'blocks' }),
      shape: Type.Array(Type.Integer(), { description: '[channels, height, width]' }),
      channels: Type.Array(Type.Integer(), { description: 'those shown: the ones that vary most over the places' }),
      picture: Type.String({ description: 'a tile a channel, from its least (black) to its largest value (white)' }),
    }),
    { description: 'channels of the streams, side by side, as maps' },
  ),
});
type Result = Static<typeof result>;
type Floats = Tensor<'float32'>;

async function run(context: Context, options: Options): Promise<Result> {
  const { images, names } = chosenImages(context, 1);
  const { network, manifest } = context.model;
  const chosen = depthsOf(network, options.depths, 0);
  return withPasses(context, network, async (passes) => {
    const canvas = await passes.prepare(pixelsOf(images));
    const { features, logits } = await passes.encode(canvas);
    const top = topOf(logits.data, manifest.labels, Math.min(options.topK, manifest.labels.length));
    const best = [top[0]!.index];
    const small = sizeOf(canvasShape(network)) <= SMALL;
    return {
      name: names[0]!,
      input: { picture: await sheetUrl([[levelsTile(levelsOf(network, canvas), 0)]]) },
      top,
      margin: margins(logits, best)[0]!,
      inversion: isInvertible(network) ? await inverted(passes, canvas, features) : null,
      gradient: normInGreyLevels(network, await passes.gradient(canvas, best)),
      spectrum: options.spectrum && small ? await spectrumOf(context, canvas) : null,
      maps: await mapsOf(context, canvas, chosen, options.channels),
    };
  });
}

async function inverted(passes: Passes, canvas: Floats, features: Floats): Promise<NonNullable<Result['inversion']>> {
  const back = await passes.decode(features);
  const [before, after] = [levelsOf(passes.network, canvas), levelsOf(passes.network, back.canvas)];
  const residual = minus(after, before);
  const largest = peakOf(residual, 0);
  return {
    relativeError: relativeError(canvas.data, back.canvas.data),
    largest,
    exactFloat: canvas.data.every((v, i) => v === back.canvas.data[i]),
    exactPixels: before.data.every((v, i) => Math.round(v) === Math.round(after.data[i]!)),
    picture: await sheetUrl([[levelsTile(after, 0), residualTile(residual, 0, largest || 1)]]),
  };
}

/** d pixel = 255 · std · d x. */
export function normInGreyLevels({ input: { std } }: Network, { dims, data }: Floats): number {
  const plane = dims[2]! * dims[3]!;
  const channels = dims[1]!;
  return Math.sqrt(data.reduce((sum, v, i) => sum + (v / (255 * std[Math.floor(i / plane) % channels]!)) ** 2, 0));
}

/** The canvas → the streams after blocks, side by side: [1, C, H, W] each. */
function mapsGraph(network: Network, chosen: readonly number[]): Graph {
  const x = input('x', 'float32', [1, ...canvasShape(network)]);
  const { states } = encode(network, x);
  const merged = chosen.map((depth) => {
    const state = states[depth]!;
    return [`depth${depth}`, state.length === 1 ? state[0]! : concat(state, 1)] as const;
  });
  return { name: 'maps', inputs: [x], outputs: Object.fromEntries(merged) };
}

async function mapsOf(context: Context, x: Floats, chosen: readonly number[], count: number): Promise<Result['maps']> {
  const streams = await withGraph(context, mapsGraph(context.model.network, chosen), context.model.weights, (session) =>
    session.run({ x }),
  );
  const maps: Result['maps'] = [];
  for (const depth of chosen) {
    const state = streams[`depth${depth}`] as Floats;
    const [channels, height, width] = state.dims.slice(1) as [number, number, number];
    const planes = rows(tensor('float32', [channels, height, width], state.data), 0, channels);
    const varied = Array.from({ length: channels }, (_, c) => ({ c, spread: deviation(rows(planes, c, c + 1).data) }));
    const numbers = varied
      .sort((a, b) => b.spread - a.spread)
      .slice(0, count)
      .map(({ c }) => c);
    const tiles = numbers.map((c) => map(rows(planes, c, c + 1)));
    maps.push({ depth, shape: [channels, height, width], channels: numbers, picture: await sheetUrl([tiles]) });
  }
  return maps;
}

function deviation(values: Float32Array): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
}

/** A channel [1, H, W] from its least value, black, to its largest, white. */
function map({ dims: [, height, width], data }: Floats): Tile {
  const [low, high] = data.reduce(([l, h], v) => [Math.min(l!, v), Math.max(h!, v)], [Infinity, -Infinity]) as [
    number,
    number,
  ];
  const grey = Uint8Array.from(data, (v) => (high > low ? Math.round((255 * (v - low)) / (high - low)) : 128));
  return tensor('uint8', [height!, width!, 1], grey);
}

function figure({ name, top, margin, input: seen, inversion, spectrum, maps }: Result): Figure {
  const bars = {
    title: { text: name, subtitle: `margin ${margin.toPrecision(3)}` },
    height: { step: 20 },
    data: { values: top },
    mark: { type: 'bar' },
    encoding: {
      y: { field: 'label', type: 'nominal', sort: null, title: null },
      x: {
        field: 'probability',
        type: 'quantitative',
        axis: { format: '.0%' },
        scale: { domain: [0, 1] },
        title: 'probability',
      },
    },
  };
  const back =
    inversion && pictured(inversion.picture, 'What comes back, and the residual', residualText(inversion), 280);
  const curve = spectrum && {
    title: {
      text: 'Singular values of ∂Φ',
      subtitle: `condition number ${spectrum.condition?.toPrecision(3) ?? 'unknown'}`,
    },
    height: 180,
    data: { values: spectrum.values.map((value, i) => ({ rank: i + 1, value })).filter(({ value }) => value > 0) },
    mark: { type: 'line' },
    encoding: {
      x: { field: 'rank', type: 'quantitative', title: 'rank' },
      y: { field: 'value', type: 'quantitative', scale: { type: 'log', nice: false }, title: 'singular value' },
    },
  };
  const channels = maps.map(({ depth, shape, picture }) =>
    pictured(picture, `After ${depth} blocks`, `channels that vary most, of ${shape[0]} at ${shape[1]} × ${shape[2]}`),
  );
  const parts = [pictured(seen.picture, 'What the network saw', '', 140), bars, back, curve, ...channels].filter(
    Boolean,
  );
  return { concat: parts, columns: 2 } as unknown as Figure;
}

const residualText = ({ exactFloat, relativeError, largest }: NonNullable<Result['inversion']>): string =>
  exactFloat
    ? 'back in every float32 bit'
    : `relative error ${relativeError.toExponential(1)}; white and black: ±${largest.toPrecision(2)} grey levels`;

/** Everything about one picture. */
export const image = experiment({
  name: 'image',
  title: 'One picture',
  description:
    'Everything about the first of the pictures, or the first test image: labels and margin, what comes back of it, the spectrum of ∂Φ, and channels as maps.',
  needs: {},
  options,
  result,
  run,
  figure,
});

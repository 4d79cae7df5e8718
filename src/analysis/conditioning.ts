import { type Static, type TSchema, Type } from 'typebox';
import { pixelsOf } from '../../export/data/images.js';
import { rows } from '../../export/graph/rows.js';
import { sizeOf, type Tensor } from '../../export/graph/tensor.js';
import { onGrid } from '../../export/model/open.js';
import { isInvertible, type Network } from '../../export/networks/index.js';
import { chosenImages } from './chosen.js';
import type { Context } from './context.js';
import { depths, depthsOf } from './depths.js';
import { AnalysisError } from './errors.js';
import { experiment } from './experiment.js';
import { colours, type Figure } from './figure.js';
import {
  canvasShape,
  centreWindow,
  type Differentiable,
  differentiable,
  exactSpectra,
  leadingInverseSingularValues,
  leadingSingularValues,
  stateSize,
  type Window,
} from './jacobian.js';
import { type Passes, withPasses } from './passes.js';
import { quantile, Spread, seed, spreadOf } from './statistics.js';

/** The most inputs for which every singular value is computed. */
const EXACT_INPUTS = 4096;
/** Elements of a Jacobian that are held in memory: 1 GiB. */
const EXACT_ELEMENTS = 2 ** 28;

const options = Type.Object({
  images: Type.Integer({ minimum: 1, default: 5, description: 'images whose spectra are taken' }),
  window: Type.Integer({
    minimum: 0,
    default: 0,
    description:
      'side, in pixels, of a square in the middle of the canvas outside which nothing varies, as in the paper (100 for ImageNet); 0: the whole canvas varies',
  }),
  depths,
  method: Type.Enum(['auto', 'exact', 'lanczos'], {
    type: 'string',
    default: 'auto',
    description: `exact: every singular value; lanczos: the leading and trailing ones; auto: exact up to ${EXACT_INPUTS} inputs`,
  }),
  wanted: Type.Integer({ minimum: 1, maximum: 100, default: 8, description: 'lanczos: singular values at each end' }),
  steps: Type.Integer({ minimum: 2, maximum: 1000, default: 60, description: 'lanczos: most products JᵀJ·v' }),
  tolerance: Type.Number({
    exclusiveMinimum: 0,
    maximum: 1,
    default: 1e-3,
    description: 'lanczos: relative error of σ²',
  }),
  seed,
});
type Options = Static<typeof options>;

const nullable = <T extends TSchema>(type: T, description: string) => Type.Union([type, Type.Null()], { description });

const Ends = {
  largest: Type.Number({ description: 'σ₁: how much Φ stretches a small change of the image at most' }),
  smallest: nullable(Type.Number(), 'the least σ; null where it is not known'),
  condition: nullable(Type.Number(), 'σ₁ / least σ; null where that is 0 or not known'),
};

export const Spectrum = Type.Object({
  image: Type.Integer({ description: 'number of the test image' }),
  label: Type.String(),
  ...Ends,
  values: Type.Array(Type.Number(), {
    description: 'exact: every singular value, descending; lanczos: the leading ones',
  }),
  trailing: Type.Array(Type.Number(), { description: 'lanczos: the least ones, descending, by ∂Φ⁻¹; else none' }),
  bound: nullable(Type.Number(), 'lanczos: the largest bound on the relative error of these; exact: null'),
  smallestBetween: Type.Union([Type.Tuple([Type.Number(), Type.Number()]), Type.Null()], {
    description:
      'lanczos, on a window or of a network that is not bijective: the least σ lies between the two; the upper one is the least that Lanczos saw',
  }),
  sumOfLogs: nullable(
    Type.Number(),
    'Σ log σ = log |det ∂Φ|: 0 for additive couplings; null where the Jacobian is not square, or not all σ are known',
  ),
  withinTwo: nullable(Type.Number(), 'share of the σ from 1/2 to 2; null where not all are known'),
});
export type Spectrum = Static<typeof Spectrum>;

const result = Type.Object({
  method: Type.Enum(['exact', 'lanczos'], { type: 'string' }),
  inputs: Type.Integer({ description: 'elements of the canvas that vary' }),
  features: Type.Integer({ description: 'elements of the features' }),
  window: nullable(Type.Integer(), 'side of the square in which pixels vary; null: the whole canvas'),
  spectra: Type.Array(Spectrum, { description: 'of ∂Φ, from the normalised canvas to the features, on plain floats' }),
  largest: Type.Object(Spread.properties, { description: 'σ₁ over the images' }),
  condition: Type.Union([Spread, Type.Null()], { description: 'the condition number over the images' }),
  byDepth: Type.Array(
    Type.Object({
      depth: Type.Integer({ description: 'blocks; 0: after the first ψ' }),
      ...Ends,
      quantiles: Type.Union([Type.Array(Type.Number()), Type.Null()], {
        description: 'the 5, 25, 50, 75, 95% quantiles of the σ; null where not all are known',
      }),
      sumOfLogs: nullable(Type.Number(), 'as above'),
    }),
    { description: 'the Jacobian of the streams after a block, at the first image' },
  ),
});
type Result = Static<typeof result>;

type Floats = Tensor<'float32'>;

async function run(context: Context, options: Options): Promise<Result> {
  const { images, names } = chosenImages(context, options.images);
  const { model, progress } = context;
  const network = onGrid(model, null);
  const window = windowOf(network, options.window);
  const method = methodOf(network, window, options.method);
  const depths = depthsOf(network, options.depths, 0);
  const target = differentiable(context);
  return withPasses(context, network, async (passes) => {
    const canvases = await passes.prepare(pixelsOf(images));
    const spectra: Spectrum[] = [];
    for (let n = 0; n < images.count; n++) {
      const canvas = rows(canvases, n, n + 1);
      const found =
        method === 'exact'
          ? await allOf(target, canvas, window)
          : await endsOf(target, passes, canvas, window, options);
      spectra.push({ image: n, label: names[n]!, ...found });
      progress('conditioning: images', n + 1, images.count);
    }
    const byDepth: Result['byDepth'] = [];
    for (const depth of depths) {
      byDepth.push({ depth, ...(await atDepth(target, rows(canvases, 0, 1), depth, method, window, options)) });
      progress('conditioning: depths', byDepth.length, depths.length);
    }
    const conditions = spectra.flatMap(({ condition }) => (condition === null ? [] : [condition]));
    return {
      method,
      inputs: window.elements.length,
      features: sizeOf(network.features),
      window: options.window || null,
      spectra,
      largest: spreadOf(spectra.map(({ largest }) => largest)),
      condition: conditions.length > 0 ? spreadOf(conditions) : null,
      byDepth,
    };
  });
}

function windowOf(network: Network, side: number): Window {
  const [, height, width] = canvasShape(network);
  if (side > Math.min(height, width))
    throw new AnalysisError(
      'option-invalid',
      `a window of ${side} pixels does not fit; expected at most ${Math.min(height, width)}: the canvas is ${height} × ${width} pixels, padding included`,
    );
  return centreWindow(network, side === 0 ? null : side);
}

function methodOf(network: Network, { elements: { length } }: Window, wanted: Options['method']): Result['method'] {
  const small = length <= EXACT_INPUTS && length * sizeOf(network.features) <= EXACT_ELEMENTS;
  if (wanted === 'exact' && !small)
    throw new AnalysisError(
      'option-invalid',
      `a Jacobian of ${length} inputs and ${sizeOf(network.features)} features is too large for all its singular values; expected at most ${EXACT_INPUTS} inputs and ${EXACT_ELEMENTS} elements: choose a smaller window, or lanczos`,
    );
  return wanted === 'auto' ? (small ? 'exact' : 'lanczos') : wanted;
}

const isBijective = (network: Network): boolean =>
  isInvertible(network) && sizeOf(network.features) === sizeOf(canvasShape(network));

const condition = (largest: number, smallest: number): number | null => (smallest > 0 ? largest / smallest : null);

const logsOf = (values: Float64Array, square: boolean): number | null =>
  square && values.every((value) => value > 0) ? values.reduce((sum, value) => sum + Math.log(value), 0) : null;

/** Every singular value. */
async function allOf(
  target: Differentiable,
  canvas: Floats,
  window: Window,
): Promise<Omit<Spectrum, 'image' | 'label'>> {
  const [values] = await exactSpectra(target, canvas, [target.network.blocks.length], window);
  return described(values!, values!.length === sizeOf(target.network.features));
}

function described(values: Float64Array, square: boolean): Omit<Spectrum, 'image' | 'label'> {
  const [largest, smallest] = [values[0]!, values.at(-1)!];
  const within = values.filter((value) => value >= 0.5 && value <= 2).length;
  return {
    largest,
    smallest,
    condition: condition(largest, smallest),
    values: Array.from(values),
    trailing: [],
    bound: null,
    smallestBetween: null,
    sumOfLogs: logsOf(values, square),
    withinTwo: within / values.length,
  };
}

/** Every singular value of ∂Φ at one canvas, on plain floats. */
export const spectrumOf = (context: Context, canvas: Floats): Promise<Omit<Spectrum, 'image' | 'label'>> => {
  const target = differentiable(context);
  return allOf(target, canvas, centreWindow(target.network, null));
};

/** The ends of the spectrum by Lanczos: the trailing one by the inverse, where there is one. */
async function endsOf(
  target: Differentiable,
  passes: Passes,
  canvas: Floats,
  window: Window,
  options: Options,
): Promise<Omit<Spectrum, 'image' | 'label'>> {
  const { network } = target;
  const whole = window.elements.length === sizeOf(canvasShape(network));
  const [front] = await leadingSingularValues(target, canvas, network.blocks.length, window, options);
  const largest = front!.values[0]!;
  const back = isInvertible(network)
    ? (await leadingInverseSingularValues(target, (await passes.encode(canvas)).features, window, options))[0]!
    : null;
  const exact = back !== null && whole && isBijective(network);
  const smallest = exact ? 1 / back.values[0]! : null;
  const bounds = [front!, ...(exact ? [back] : [])].flatMap(({ values, bounds }) =>
    bounds.map((b, i) => b / values[i]!),
  );
  return {
    largest,
    smallest,
    condition: smallest === null ? null : condition(largest, smallest),
    values: front!.values,
    trailing: exact ? back.values.map((value) => 1 / value).reverse() : [],
    bound: Math.max(...bounds),
    smallestBetween: exact ? null : [back === null ? 0 : 1 / (back.values[0]! + back.bounds[0]!), front!.smallest],
    sumOfLogs: null,
    withinTwo: null,
  };
}

const QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95];

async function atDepth(
  target: Differentiable,
  canvas: Floats,
  depth: number,
  method: Result['method'],
  window: Window,
  options: Options,
) {
  if (method === 'lanczos') {
    const [front] = await leadingSingularValues(target, canvas, depth, window, { ...options, wanted: 1 });
    return { largest: front!.values[0]!, smallest: null, condition: null, quantiles: null, sumOfLogs: null };
  }
  const [values] = await exactSpectra(target, canvas, [depth], window);
  const { largest, smallest, condition, sumOfLogs } = described(
    values!,
    values!.length === stateSize(target.network, depth),
  );
  const ascending = values!.toReversed();
  return { largest, smallest, condition, quantiles: QUANTILES.map((q) => quantile(ascending, q)), sumOfLogs };
}

/** Points of a curve that are drawn. */
const DRAWN = 256;

function figure({ spectra, byDepth, method, inputs }: Result): Figure {
  const curves = spectra.flatMap(({ image, label, values, trailing }) =>
    [...values, ...trailing].map((value, i, { length }) => ({
      shown: i % Math.ceil(length / DRAWN) === 0 || i === length - 1,
      image: `${image + 1} ${label}`,
      // From the end where those between are not known.
      rank: i < values.length ? i + 1 : inputs - trailing.length + (i - values.length) + 1,
      value,
    })),
  );
  const spectrum = {
    title: {
      text: 'Singular values of ∂Φ',
      subtitle: `${method === 'exact' ? 'all' : 'the leading and trailing ones'} of ${inputs}; a line an image`,
    },
    data: { values: curves.filter(({ value, shown }) => shown && value > 0) },
    layer: [
      {
        mark: method === 'exact' ? { type: 'line', strokeWidth: 1.2 } : { type: 'point', size: 14 },
        encoding: {
          x: { field: 'rank', type: 'quantitative', title: 'rank', scale: { domain: [1, inputs], nice: false } },
          y: { field: 'value', type: 'quantitative', title: 'singular value', scale: { type: 'log', nice: false } },
          color: { field: 'image', type: 'nominal', title: 'image', legend: { orient: 'top-right' } },
        },
      },
      {
        data: { values: [{ one: 1 }] },
        mark: { type: 'rule', strokeDash: [4, 4], color: '#666' },
        encoding: { y: { field: 'one', type: 'quantitative' } },
      },
    ],
  };
  const bands = byDepth.flatMap(({ depth, largest, smallest, quantiles }) => {
    const lines = {
      largest,
      '95%': quantiles?.[4],
      '75%': quantiles?.[3],
      median: quantiles?.[2],
      '25%': quantiles?.[1],
      '5%': quantiles?.[0],
      smallest,
    };
    return Object.entries(lines).flatMap(([what, value]) => (value ? [{ depth, what, value }] : []));
  });
  const last = Math.max(...byDepth.map(({ depth }) => depth));
  const x = { field: 'depth', type: 'quantitative', title: 'blocks', axis: { tickMinStep: 1 } };
  const y = { field: 'value', type: 'quantitative', title: 'singular value', scale: { type: 'log', nice: false } };
  const depthwise = {
    title: { text: 'By depth', subtitle: 'of the first image: extremes and quantiles of the singular values' },
    data: { values: bands },
    layer: [
      { mark: { type: 'line', point: true, color: colours[0] }, encoding: { x, y, detail: { field: 'what' } } },
      {
        transform: [{ filter: `datum.depth === ${last}` }],
        mark: { type: 'text', align: 'left', dx: 8 },
        encoding: { x, y, text: { field: 'what' } },
      },
    ],
  };
  // A legend of its own: one that is shared stands outside of the panel.
  return { hconcat: [spectrum, depthwise], resolve: { scale: { color: 'independent' } } } as unknown as Figure;
}

/** Singular values of ∂Φ. */
export const conditioning = experiment({
  name: 'conditioning',
  title: 'Conditioning of the Jacobian',
  description:
    'Singular values of the Jacobian ∂Φ at images and by depth, and its condition number: how ill-conditioned the local inversion is.',
  needs: {},
  options,
  result,
  run,
  figure,
});

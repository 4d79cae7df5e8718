import { type Static, Type } from 'typebox';
import { pixelsOf, slice } from '../../export/data/images.js';
import { rows } from '../../export/graph/rows.js';
import { sizeOf, type Tensor } from '../../export/graph/tensor.js';
import { onGrid } from '../../export/model/open.js';
import { ConfigError, isInvertible, type Network } from '../../export/networks/index.js';
import { spreadDepths } from './inversion.js';
import {
  canvasShape,
  centreWindow,
  type Differentiable,
  exactSpectra,
  leadingInverseSingularValues,
  leadingSingularValues,
  type Window,
} from './jacobian.js';
import { openPasses, type Passes } from './passes.js';
import { quantile, Spread, spreadOf } from './statistics.js';
import type { Subject } from './subject.js';

/** The most inputs for which every singular value is computed. */
const EXACT_INPUTS = 4096;
/** Elements of a Jacobian that are held in memory: 1 GiB. */
const EXACT_ELEMENTS = 2 ** 28;

export const ConditioningOptions = Type.Object(
  {
    images: Type.Integer({ minimum: 1, default: 5, description: 'test images, from the first' }),
    window: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          'only the pixels of a square of this side in the middle of the canvas vary (the paper: 100 for ImageNet); default: all of it',
      }),
    ),
    depths: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0 }), {
        description: 'blocks after which spectra are taken at the first image; default: all, or 16 evenly spread',
      }),
    ),
    method: Type.Union([Type.Literal('auto'), Type.Literal('exact'), Type.Literal('lanczos')], {
      default: 'auto',
      description: `exact: every singular value; lanczos: the leading and trailing ones; auto: exact up to ${EXACT_INPUTS} inputs`,
    }),
    wanted: Type.Integer({
      minimum: 1,
      maximum: 100,
      default: 8,
      description: 'singular values at each end, by Lanczos',
    }),
    steps: Type.Integer({ minimum: 2, maximum: 1000, default: 60, description: 'most products JᵀJ·v, by Lanczos' }),
    tolerance: Type.Number({ exclusiveMinimum: 0, default: 1e-3, description: 'relative error of σ², by Lanczos' }),
    seed: Type.Integer({ default: 1 }),
  },
  { additionalProperties: false },
);
export type ConditioningOptions = Static<typeof ConditioningOptions>;

const nullable = <T extends ReturnType<typeof Type.Number>>(type: T, description: string) =>
  Type.Union([type, Type.Null()], { description });

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

export const ConditioningResult = Type.Object({
  method: Type.Union([Type.Literal('exact'), Type.Literal('lanczos')]),
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
export type ConditioningResult = Static<typeof ConditioningResult>;

type Floats = Tensor<'float32'>;

/**
 * Singular values of the Jacobian of Φ at images. i-RevNet paper, section 4.2 and figure 5: they decay fast, so the local
 * inversion is ill-conditioned, and the explicit inverse is stable all the same.
 * @throws ConfigError where the window or a depth is out of range, or exact values are asked of too large a network
 */
export async function conditioning(subject: Subject, options: ConditioningOptions): Promise<ConditioningResult> {
  const { model, threads, progress = () => {}, signal } = subject;
  const network = onGrid(model, null);
  const window = windowOf(network, options.window);
  const method = methodOf(network, window, options.method);
  const depths = depthsOf(network, options.depths);
  const target: Differentiable = { network, weights: model.weights, threads };
  const images = slice(subject.images, 0, Math.min(options.images, subject.images.count));
  const passes = openPasses(network, model.weights, threads);
  const total = images.count + depths.length;
  try {
    const canvases = await passes.prepare(pixelsOf(images));
    const spectra: Spectrum[] = [];
    for (let n = 0; n < images.count; n++) {
      const canvas = rows(canvases, n, n + 1);
      const found =
        method === 'exact'
          ? exactSpectrum(network, (await exactSpectra(target, canvas, [network.blocks.length], window, signal))[0]!)
          : await endsOf(target, passes, canvas, window, options, signal);
      spectra.push({ image: n, label: model.manifest.labels[images.labels[n]!] ?? '', ...found });
      progress(n + 1, total);
    }
    const first = rows(canvases, 0, 1);
    const byDepth: ConditioningResult['byDepth'] = [];
    for (const depth of depths) {
      byDepth.push({ depth, ...(await atDepth(target, first, depth, method, window, options, signal)) });
      progress(images.count + byDepth.length, total);
    }
    const conditions = spectra.flatMap(({ condition }) => (condition === null ? [] : [condition]));
    return {
      method,
      inputs: window.elements.length,
      features: sizeOf(network.features),
      window: options.window ?? null,
      spectra,
      largest: spreadOf(spectra.map(({ largest }) => largest)),
      condition: conditions.length > 0 ? spreadOf(conditions) : null,
      byDepth,
    };
  } finally {
    await passes.close();
  }
}

function windowOf(network: Network, side: number | undefined): Window {
  const [, height, width] = canvasShape(network);
  if (side !== undefined && side > Math.min(height, width))
    throw new ConfigError(
      `a window of ${side} pixels does not fit; the canvas is ${height} × ${width}, padding included`,
    );
  return centreWindow(network, side ?? null);
}

function methodOf(network: Network, { elements }: Window, wanted: ConditioningOptions['method']): 'exact' | 'lanczos' {
  const inputs = elements.length;
  const small = inputs <= EXACT_INPUTS && inputs * sizeOf(network.features) <= EXACT_ELEMENTS;
  if (wanted === 'exact' && !small)
    throw new ConfigError(
      `all singular values of ${inputs} inputs and ${sizeOf(network.features)} features take too much memory; at most ${EXACT_INPUTS} inputs: choose a smaller window, or Lanczos`,
    );
  return wanted === 'auto' ? (small ? 'exact' : 'lanczos') : wanted;
}

function depthsOf({ blocks }: Network, wanted: readonly number[] | undefined): number[] {
  const beyond = wanted?.find((depth) => depth > blocks.length);
  if (beyond !== undefined)
    throw new ConfigError(`depth ${beyond} is asked for; the network has ${blocks.length} blocks`);
  return [...(wanted ?? [0, ...spreadDepths(blocks.length)])];
}

const isBijective = (network: Network): boolean =>
  isInvertible(network) && sizeOf(network.features) === sizeOf(canvasShape(network));

const condition = (largest: number, smallest: number): number | null => (smallest > 0 ? largest / smallest : null);

/** Whether as many numbers come out as go in. */
const logsOf = (values: Float64Array, square: boolean): number | null =>
  square && values.every((value) => value > 0) ? values.reduce((sum, value) => sum + Math.log(value), 0) : null;

function exactSpectrum(network: Network, values: Float64Array): Omit<Spectrum, 'image' | 'label'> {
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
    sumOfLogs: logsOf(values, values.length === sizeOf(network.features)),
    withinTwo: within / values.length,
  };
}

/** The ends of the spectrum by Lanczos: the trailing one by the inverse, where there is one. */
async function endsOf(
  target: Differentiable,
  passes: Passes,
  canvas: Floats,
  window: Window,
  options: ConditioningOptions,
  signal: AbortSignal | undefined,
): Promise<Omit<Spectrum, 'image' | 'label'>> {
  const { network } = target;
  const whole = window.elements.length === sizeOf(canvasShape(network));
  const [front] = await leadingSingularValues(target, canvas, network.blocks.length, window, options, signal);
  const largest = front!.values[0]!;
  const back = isInvertible(network)
    ? (await leadingInverseSingularValues(target, (await passes.encode(canvas)).features, window, options, signal))[0]!
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
  method: 'exact' | 'lanczos',
  window: Window,
  options: ConditioningOptions,
  signal: AbortSignal | undefined,
) {
  if (method === 'lanczos') {
    const [front] = await leadingSingularValues(target, canvas, depth, window, { ...options, wanted: 1 }, signal);
    return { largest: front!.values[0]!, smallest: null, condition: null, quantiles: null, sumOfLogs: null };
  }
  const [values] = await exactSpectra(target, canvas, [depth], window, signal);
  const { largest, smallest, condition, sumOfLogs } = exactSpectrum(target.network, values!);
  const ascending = values!.toReversed();
  return { largest, smallest, condition, quantiles: QUANTILES.map((q) => quantile(ascending, q)), sumOfLogs };
}

import { jvp, vjp } from '../../export/graph/grad.js';
import { type Graph, input, type Value } from '../../export/graph/graph.js';
import { add, cast } from '../../export/graph/ops/elementwise.js';
import { matmul } from '../../export/graph/ops/matmul.js';
import { concat, reshape } from '../../export/graph/ops/movement.js';
import { staticShape } from '../../export/graph/shape.js';
import { type NamedTensors, sizeOf, type Tensor, tensor } from '../../export/graph/tensor.js';
import { onGrid } from '../../export/model/open.js';
import { decode, encode, type Network, type State } from '../../export/networks/network.js';
import type { Session } from '../../export/runtime/session.js';
import { type Context, withGraph } from './context.js';
import { symmetricEigenvalues } from './eigenvalues.js';
import { type LanczosOptions, type Leading, leadingEigenvalues } from './lanczos.js';

/** A network on plain floats, whose Jacobian is taken with respect to its canvas: the normalised, padded image. */
export interface Differentiable extends Pick<Context, 'threads' | 'device' | 'signal'> {
  readonly network: Network;
  readonly weights: NamedTensors;
}

/** The network of an experiment's model, on plain floats. */
export const differentiable = ({ model, threads, device, signal }: Context): Differentiable => ({
  network: onGrid(model, null),
  weights: model.weights,
  threads,
  signal,
  ...(device && { device }),
});

/** [C, H, W] of the canvas. */
export const canvasShape = ({ input: { channels, height, width, padding } }: Network): [number, number, number] => [
  channels,
  height + 2 * padding,
  width + 2 * padding,
];

/** The streams of a state side by side, [batch, all]. */
export const flatState = (state: State, batch: number | 'N'): Value => {
  const flat = state.map((stream) => reshape(stream, [batch, sizeOf(staticShape(stream.type.shape.slice(1)))]));
  return flat.length === 1 ? flat[0]! : concat(flat, 1);
};

/** How many numbers the state at a depth has. */
export const stateSize = (network: Network, depth: number): number =>
  sizeOf(staticShape(flatState(encode(network, canvasOf(network, 'x', 1)).states[depth]!, 1).type.shape));

const canvasOf = (network: Network, name: string, batch: number): Value =>
  input(name, 'float32', [batch, ...canvasShape(network)]);

/** x, v [batch, canvas] → J·v of the state at each depth, [batch, all], named after the depth. */
function pushGraph(network: Network, batch: number, depths: readonly number[]): Graph {
  const [x, v] = [canvasOf(network, 'x', batch), canvasOf(network, 'v', batch)];
  const { states } = encode(network, x);
  const flat = depths.map((depth) => flatState(states[depth]!, batch));
  const pushed = jvp(flat, [x], [v]);
  return {
    name: 'jacobian',
    inputs: [x, v],
    outputs: Object.fromEntries(depths.map((depth, i) => [`depth${depth}`, pushed[i]!])),
  };
}

/** x, v [batch, canvas] → JᵀJ·v of the state at a depth. */
function gramGraph(network: Network, batch: number, depth: number): Graph {
  const [x, v] = [canvasOf(network, 'x', batch), canvasOf(network, 'v', batch)];
  const state = encode(network, x).states[depth]!;
  const pulled = vjp(state, jvp(state, [x], [v]), [x])[0]!;
  return { name: 'gram', inputs: [x, v], outputs: { pulled } };
}

/** Features z, v [batch, canvas] → LLᵀ·v, where L = ∂Φ⁻¹(z). For a bijective Φ it is (JᵀJ)⁻¹. */
function inverseGramGraph(network: Network, batch: number): Graph {
  const z = input('x', 'float32', [batch, ...network.features]);
  const v = canvasOf(network, 'v', batch);
  const x = decode(network, z);
  const pulled = jvp([x], [z], vjp([x], [v], [z]))[0]!;
  return { name: 'inverse-gram', inputs: [z, v], outputs: { pulled } };
}

/** a [D, M], sum [D, D] → sum + a·aᵀ in float64. */
function productGraph(rows: number, columns: number): Graph {
  const a = input('a', 'float32', [rows, columns]);
  const sum = input('sum', 'float64', [rows, rows]);
  const wide = cast(a, 'float64');
  return { name: 'product', inputs: [a, sum], outputs: { total: add(sum, matmul(wide, wide, { transB: true })) } };
}

/** The part of the canvas whose variation counts: a square in its middle, or all of it. */
export interface Window {
  /** Numbers of the elements of a canvas, row by row. */
  readonly elements: Uint32Array;
  readonly has: (element: number) => boolean;
}

/** @param side of the square in pixels; null: all of the canvas */
export function centreWindow(network: Network, side: number | null): Window {
  const [channels, height, width] = canvasShape(network);
  if (side === null) {
    const elements = Uint32Array.from({ length: channels * height * width }, (_, i) => i);
    return { elements, has: () => true };
  }
  const [top, left] = [(height - side) >> 1, (width - side) >> 1];
  const inside = (i: number) => {
    const [y, x] = [Math.floor(i / width) % height, i % width];
    return y >= top && y < top + side && x >= left && x < left + side;
  };
  const elements = Uint32Array.from({ length: channels * height * width }, (_, i) => i).filter(inside);
  return { elements, has: inside };
}

/** Directions that are pushed through a network in one run. */
const BATCH = 64;

/**
 * All singular values of the Jacobian of the state at each depth, descending: every column of the window by J·v in
 * float32, the products of the columns in float64.
 * @param canvas float32 [1, C, H, W]
 */
export async function exactSpectra(
  target: Differentiable,
  canvas: Tensor<'float32'>,
  depths: readonly number[],
  window: Window,
): Promise<Float64Array[]> {
  const spectra: Float64Array[] = [];
  for (const matrix of await jacobianColumns(target, canvas, depths, window))
    spectra.push(await singularValues(target, matrix));
  return spectra;
}

/** Jᵀ restricted to the window, [elements of the window, elements of the state], for each depth. */
function jacobianColumns(
  target: Differentiable,
  canvas: Tensor<'float32'>,
  depths: readonly number[],
  { elements }: Window,
): Promise<Tensor<'float32'>[]> {
  const size = canvas.data.length;
  const batch = Math.min(BATCH, elements.length);
  const dims = [batch, ...canvas.dims.slice(1)];
  const x = tensor('float32', dims, new Float32Array(batch * size));
  for (let b = 0; b < batch; b++) x.data.set(canvas.data, b * size);
  const columns: Float32Array[] = [];
  return withGraph(target, pushGraph(target.network, batch, depths), target.weights, async (session) => {
    for (let from = 0; from < elements.length; from += batch) {
      const units = elements.subarray(from, from + batch);
      const v = new Float32Array(batch * size);
      for (const [b, element] of units.entries()) v[b * size + element] = 1;
      const pushed = await session.run({ x, v: tensor('float32', dims, v) });
      for (const [d, depth] of depths.entries()) {
        const { data, dims: out } = pushed[`depth${depth}`]! as Tensor<'float32'>;
        columns[d] ??= new Float32Array(elements.length * out[1]!);
        columns[d]!.set(data.subarray(0, units.length * out[1]!), from * out[1]!);
      }
    }
    return columns.map((data) => tensor('float32', [elements.length, data.length / elements.length], data));
  });
}

/** Columns of a matrix that are multiplied at a time in float64. */
const STRIP = 4096;

/** Singular values of a matrix [D, M], descending, as many as it has rows. */
export async function singularValues(
  context: Pick<Context, 'threads' | 'device' | 'signal'>,
  matrix: Tensor<'float32'>,
): Promise<Float64Array> {
  const [rows, columns] = matrix.dims as [number, number];
  let sum = tensor('float64', [rows, rows], new Float64Array(rows * rows));
  for (let from = 0; from < columns; from += STRIP) {
    const width = Math.min(STRIP, columns - from);
    const strip = new Float32Array(rows * width);
    for (let r = 0; r < rows; r++)
      strip.set(matrix.data.subarray(r * columns + from, r * columns + from + width), r * width);
    const feeds = { a: tensor('float32', [rows, width], strip), sum };
    const { total } = await withGraph(context, productGraph(rows, width), new Map(), (session) => session.run(feeds));
    sum = total as Tensor<'float64'>;
  }
  return symmetricEigenvalues(sum.data, rows).map((value) => Math.sqrt(Math.max(value, 0)));
}

export type SpectrumOptions = Pick<LanczosOptions, 'wanted' | 'steps' | 'tolerance' | 'seed'>;

/**
 * The leading singular values of ∂Φ (of the state at a depth) at several canvases at once, with bounds on their errors.
 * @param canvases float32 [N, C, H, W]
 */
export const leadingSingularValues = (
  target: Differentiable,
  canvases: Tensor<'float32'>,
  depth: number,
  window: Window,
  options: SpectrumOptions,
): Promise<Leading[]> =>
  withGraph(target, gramGraph(target.network, canvases.dims[0]!, depth), target.weights, (session) =>
    singular(session, canvases, canvasShape(target.network), window, options),
  );

/**
 * The leading singular values of ∂Φ⁻¹ at features. For a bijective Φ, and all of the canvas, their reciprocals are the
 * trailing ones of ∂Φ: (∂Φ)⁻¹ = ∂Φ⁻¹.
 * @param features float32 [N, C', H', W']
 */
export const leadingInverseSingularValues = (
  target: Differentiable,
  features: Tensor<'float32'>,
  window: Window,
  options: SpectrumOptions,
): Promise<Leading[]> =>
  withGraph(target, inverseGramGraph(target.network, features.dims[0]!), target.weights, (session) =>
    singular(session, features, canvasShape(target.network), window, options),
  );

/** Square roots of the leading eigenvalues of a graph x, v → A·v, for each x, on the window. */
async function singular(
  session: Pick<Session, 'run'>,
  x: Tensor<'float32'>,
  shape: readonly number[],
  { has }: Window,
  options: SpectrumOptions,
): Promise<Leading[]> {
  const [problems, size] = [x.dims[0]!, sizeOf(shape)];
  const apply = async (vectors: readonly Float64Array[]): Promise<Float64Array[]> => {
    const v = new Float32Array(problems * size);
    for (const [i, vector] of vectors.entries()) v.set(vector, i * size);
    const { pulled } = await session.run({ x, v: tensor('float32', [problems, ...shape], v) });
    return vectors.map((_, i) =>
      Float64Array.from((pulled!.data as Float32Array).subarray(i * size, (i + 1) * size), (value, at) =>
        has(at) ? value : 0,
      ),
    );
  };
  // σ = √λ: an error of ε in λ is one of ε / 2σ in σ.
  const found = await leadingEigenvalues(apply, { ...options, size, problems, within: has });
  return found.map(({ values, bounds, smallest, steps }) => {
    const sigmas = values.map((value) => Math.sqrt(Math.max(value, 0)));
    return {
      values: sigmas,
      bounds: bounds.map((bound, i) => bound / (2 * sigmas[i]! || 1)),
      smallest: Math.sqrt(Math.max(smallest, 0)),
      steps,
    };
  });
}

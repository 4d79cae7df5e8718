import { vjp } from '../../export/graph/grad.js';
import { type Graph, input, type Value } from '../../export/graph/graph.js';
import { exp, sub } from '../../export/graph/ops/elementwise.js';
import { logSoftmax } from '../../export/graph/ops/normalisation.js';
import { rows, stack } from '../../export/graph/rows.js';
import { sizeOf, type Tensor, tensor } from '../../export/graph/tensor.js';
import { emitInline } from '../../export/model/graphs.js';
import { quantise } from '../../export/networks/layers/coupling.js';
import { decode, encode, type Network } from '../../export/networks/network.js';
import { openSession, type Session } from '../../export/runtime/session.js';
import type { Context } from './context.js';
import { canvasShape } from './jacobian.js';

type Floats = Tensor<'float32'>;

/**
 * Φ, Φ⁻¹ and their parts on canvases: normalised, padded images, float32 [N, C, H, W]. A canvas need not be a picture: it may
 * lie outside the range of pixels. Graphs are loaded at their first use.
 */
export interface Passes {
  readonly network: Network;
  /** uint8 pixels [N, H, W, C] → canvases on the network's grid. */
  prepare(pixels: Tensor<'uint8'>): Promise<Floats>;
  /** Canvases → canvases on the grid; without a grid, the same. */
  rounded(canvas: Floats): Promise<Floats>;
  encode(canvas: Floats): Promise<{ features: Floats; logits: Floats }>;
  /** Φ⁻¹; pixels are rounded and clipped. @throws ConfigError where there is no inverse */
  decode(features: Floats): Promise<{ canvas: Floats; pixels: Tensor<'uint8'> }>;
  /** The head alone: features → logits. */
  head(features: Floats): Promise<Floats>;
  /** The gradient of the cross-entropy with respect to each canvas. */
  gradient(canvas: Floats, labels: ArrayLike<number>): Promise<Floats>;
}

/** Numbers of canvases that a run holds: small images go many at a time, large ones one by one. */
const RUN = 2 ** 16;
const MOST = 64;

/** Opens the passes of a network for as long as `use` takes. */
export async function withPasses<T>(
  context: Context,
  network: Network,
  use: (passes: Passes) => Promise<T>,
): Promise<T> {
  const { close, ...passes } = openPasses(context, network);
  try {
    return await use(passes);
  } finally {
    await close();
  }
}

function openPasses(
  { threads, device, signal, model: { weights } }: Context,
  network: Network,
): Passes & { close(): Promise<void> } {
  const shape = canvasShape(network);
  const batch = Math.max(1, Math.min(MOST, Math.floor(RUN / sizeOf(shape))));
  const canvas = (n: number | 'N' = 'N') => input('x', 'float32', [n, ...shape]);
  const z = () => input('z', 'float32', ['N', ...network.features]);
  const graphs = {
    prepare: () => {
      const { height, width, channels } = network.input;
      const pixels = input('pixels', 'uint8', ['N', height, width, channels]);
      return graph([pixels], { x: network.pixels.forward(pixels) });
    },
    rounded: () => {
      const x = canvas();
      return graph([x], { rounded: quantise(network.grid, x) });
    },
    encode: () => {
      const x = canvas();
      const { features, logits } = encode(network, x);
      return graph([x], { features, logits });
    },
    decode: () => {
      const features = z();
      const x = decode(network, features);
      return graph([features], { canvas: x, pixels: network.pixels.inverse(x) });
    },
    head: () => {
      const features = z();
      return graph([features], { logits: network.classify(features) });
    },
    gradient: () => {
      const x = canvas(batch);
      const target = input('target', 'float32', [batch, network.classes]);
      const { logits } = encode(network, x);
      // d −log softmax(z)ᵧ = softmax(z) − e_y
      const [gradient] = vjp([logits], [sub(exp(logSoftmax(logits, 1)), target)], [x]);
      return graph([x, target], { gradient: gradient! });
    },
  };
  const open = new Map<string, Promise<Session>>();
  const session = (name: keyof typeof graphs): Promise<Session> => {
    const known =
      open.get(name) ?? openSession(emitInline(graphs[name](), weights), { threads, ...(device && { device }) });
    open.set(name, known);
    return known;
  };
  const run = async (name: keyof typeof graphs, feeds: Readonly<Record<string, Tensor>>) => {
    const opened = await session(name);
    const count = Object.values(feeds)[0]!.dims[0]!;
    const parts: Record<string, Tensor>[] = [];
    for (let from = 0; from < count; from += batch) {
      signal.throwIfAborted();
      const to = Math.min(from + batch, count);
      const part = Object.entries(feeds).map(([key, t]) => [key, rows(t, from, to)] as const);
      const full = name === 'gradient' ? part.map(([key, t]) => [key, filled(t as Floats, batch)] as const) : part;
      const outputs = await opened.run(Object.fromEntries(full));
      parts.push(Object.fromEntries(Object.entries(outputs).map(([key, t]) => [key, rows(t, 0, to - from)])));
    }
    return Object.fromEntries(Object.keys(parts[0]!).map((key) => [key, stack(parts.map((part) => part[key]!))]));
  };
  return {
    network,
    prepare: async (pixels) => (await run('prepare', { pixels })).x as Floats,
    rounded: async (x) => (network.grid === null ? x : ((await run('rounded', { x })).rounded as Floats)),
    encode: async (x) => (await run('encode', { x })) as { features: Floats; logits: Floats },
    decode: async (z) => (await run('decode', { z })) as { canvas: Floats; pixels: Tensor<'uint8'> },
    head: async (z) => (await run('head', { z })).logits as Floats,
    gradient: async (x, labels) =>
      (await run('gradient', { x, target: oneHot(labels, network.classes) })).gradient as Floats,
    close: async () => {
      for (const opened of open.values()) await (await opened).release();
    },
  };
}

const graph = (inputs: readonly Value[], outputs: Record<string, Value>): Graph => ({ name: 'pass', inputs, outputs });

/** The rows, and zeros behind them up to a batch. */
function filled({ dims, data }: Floats, batch: number): Floats {
  if (dims[0] === batch) return tensor('float32', dims, data);
  const full = new Float32Array((data.length / dims[0]!) * batch);
  full.set(data);
  return tensor('float32', [batch, ...dims.slice(1)], full);
}

export function oneHot(labels: ArrayLike<number>, classes: number): Floats {
  const data = new Float32Array(labels.length * classes);
  for (let n = 0; n < labels.length; n++) data[n * classes + labels[n]!] = 1;
  return tensor('float32', [labels.length, classes], data);
}

/** Canvases in grey levels, float32 [N, C, H, W] without the padding; neither rounded nor clipped: (x · std + mean) · 255. */
export function levelsOf({ input: spec }: Network, { dims, data }: Floats): Floats {
  const { height, width, padding, mean, std } = spec;
  const [count, channels, rows_, columns] = dims as [number, number, number, number];
  const out = new Float32Array(count * channels * height * width);
  let at = 0;
  for (let plane = 0; plane < count * channels; plane++) {
    const [m, s] = [mean[plane % channels]!, std[plane % channels]!];
    for (let y = padding; y < padding + height; y++) {
      const row = (plane * rows_ + y) * columns;
      for (let x = padding; x < padding + width; x++) out[at++] = 255 * (data[row + x]! * s + m);
    }
  }
  return tensor('float32', [count, channels, height, width], out);
}

/** Canvases whose border is black again, as that of an image is. */
export function blackBorder({ input: { padding, mean, std } }: Network, { dims, data }: Floats): Floats {
  const [, channels, height, width] = dims as [number, number, number, number];
  const outside = (at: number, size: number) => at < padding || at >= size - padding;
  const black = mean.map((m, c) => Math.fround(-m / std[c]!));
  const cleared = data.map((value, i) => {
    const border = outside(Math.floor(i / width) % height, height) || outside(i % width, width);
    return border ? black[Math.floor(i / (height * width)) % channels]! : value;
  });
  return tensor('float32', dims, cleared);
}

/** Canvases whose values are brought into the range of pixels, 0 … 255 grey levels. */
export function clipped({ input: { mean, std } }: Network, { dims, data }: Floats): Floats {
  const [, channels, height, width] = dims as [number, number, number, number];
  const [low, high] = [mean.map((m, c) => -m / std[c]!), mean.map((m, c) => (1 - m) / std[c]!)];
  const inRange = data.map((value, i) => {
    const c = Math.floor(i / (height * width)) % channels;
    return Math.min(high[c]!, Math.max(low[c]!, value));
  });
  return tensor('float32', dims, inRange);
}

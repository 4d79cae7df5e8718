import { type Graph, input, type Value } from '../../export/graph/graph.js';
import { concat } from '../../export/graph/ops/movement.js';
import { reduceMean } from '../../export/graph/ops/reduce.js';
import { staticShape } from '../../export/graph/shape.js';
import { sizeOf } from '../../export/graph/tensor.js';
import { encode, type Network, type State } from '../../export/networks/network.js';

/** A graph that gives something of the states of a network: one output a depth. */
export interface Taps {
  readonly graph: Graph;
  /** Numbers an image, output by output. Depth 0 is the state before the first block, depth d that after block d. */
  readonly dimensions: readonly number[];
}

/** The name of the output of a depth. */
export const tapName = (depth: number): string => `depth${depth}`;

export const pixelInput = ({ input: { height, width, channels } }: Network): Value =>
  input('pixels', 'uint8', ['N', height, width, channels]);

/** The state before the first block and after every block. */
export const statesOf = (network: Network, pixels: Value): readonly State[] =>
  encode(network, network.pixels.forward(pixels)).states;

/** Channels averaged over places, both streams one after the other: pixels → [N, channels] for every depth. */
export function averageTaps(network: Network): Taps {
  const pixels = pixelInput(network);
  const outputs = statesOf(network, pixels).map((state) => joined(state.map((stream) => reduceMean(stream, [2, 3]))));
  return tapsOf(pixels, new Map(outputs.entries()));
}

/** Every number of both streams, one after the other: pixels → [N, C, H, W] at some depths. */
export function streamTaps(network: Network, depths: readonly number[]): Taps {
  const pixels = pixelInput(network);
  const states = statesOf(network, pixels);
  return tapsOf(pixels, new Map(depths.map((depth) => [depth, joined(states[depth]!)])));
}

const joined = (streams: readonly Value[]): Value => (streams.length === 1 ? streams[0]! : concat(streams, 1));

const tapsOf = (pixels: Value, outputs: ReadonlyMap<number, Value>): Taps => ({
  graph: {
    name: 'taps',
    inputs: [pixels],
    outputs: Object.fromEntries([...outputs].map(([depth, value]) => [tapName(depth), value])),
  },
  dimensions: [...outputs.values()].map(({ type }) => sizeOf(staticShape(type.shape.slice(1)))),
});

/** Numbers in a state, without padding channels of the network: what a batch of images takes in memory grows with them. */
export const inputSize = ({ input: { height, width, channels, padding } }: Network): number =>
  sizeOf([channels, height + 2 * padding, width + 2 * padding]);

/** Images that go through a network at a time: many small ones, few large ones. */
export const batchFor = (network: Network): number =>
  Math.max(1, Math.min(LARGEST_BATCH, Math.floor(NUMBERS_IN_A_BATCH / inputSize(network))));

const LARGEST_BATCH = 128;
const NUMBERS_IN_A_BATCH = 2 ** 20;

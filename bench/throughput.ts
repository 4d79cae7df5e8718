import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { noiseImages } from '../export/data/noise.js';
import { type Graph, input } from '../export/graph/graph.js';
import { matmul } from '../export/graph/ops/matmul.js';
import { owned, rows } from '../export/graph/rows.js';
import { bytesOf, sizeOf, type Tensor, tensor } from '../export/graph/tensor.js';
import { emitInline, forwardGraph, inverseGraph } from '../export/model/graphs.js';
import { relativeError } from '../export/model/measure.js';
import { multiplyAdds } from '../export/model/work.js';
import { type Configuration, configurations } from '../export/networks/configurations.js';
import { buildNetwork, type Network, withGrid } from '../export/networks/index.js';
import { temporaryFolder, together } from './server.js';
import { type Order, openThread, runsPerSecond, type SessionThread } from './sessions.js';
import { median, readable, rounded } from './statistics.js';
import { randomModel } from './subjects.js';
import { openTorch, torchSettings } from './torch.js';

const NETWORK = 'irevnet-b';
const THREADS = 2;
const BATCHES = [1, 2, 8];
/** Images that a session computes in one measurement. */
const IMAGES = 8;
const ROUNDS = 5;
/** The matrix product that the rate is compared with; so many in one graph that the time of the call does not matter. */
const PRODUCT = { size: 1024, times: 8 };
/** The largest relative difference to PyTorch's logits; most of it comes from the grid, which PyTorch does not have. */
const TOLERANCE = 1e-4;

const directions = ['forward', 'inverse'] as const;
type Direction = (typeof directions)[number];
/** A batch of pixels for Φ, and their features for Φ⁻¹. */
type Inputs = Readonly<Record<Direction, Tensor>>;
/** Images a second, by one way to run a network. */
type Rate = (direction: Direction, batch: number) => Promise<number>;

/**
 * Images a second of Φ and Φ⁻¹ over PyTorch's, measured in turn, on a network for ImageNet with random weights: first on the
 * grid that it has by default, then on plain floats. PyTorch computes on plain floats both times.
 */
export async function* throughput(): AsyncGenerator<object> {
  const configuration = configurations[NETWORK]!;
  yield* compare(configuration);
  yield* compare(withGrid(configuration, null));
}

async function* compare(configuration: Configuration): AsyncGenerator<object> {
  await using temporary = await temporaryFolder();
  const folder = join(temporary.path, 'model');
  const network = buildNetwork(configuration);
  const images = await prepare(folder, configuration, network);
  await using torch = await openThroughput(join(folder, 'torch.json'));
  const whole = openThread({ folder, threads: THREADS });
  const parts = Array.from({ length: THREADS }, () => openThread({ folder, threads: 1 }));
  await using _ = together([whole, ...parts]);

  const { features, logitsError } = await check(whole, images, torch.logits);
  const inputs = { forward: images, inverse: features };
  const [byWhole, byParts] = [rateOf([whole], inputs), rateOf(parts, inputs)];
  const cases = BATCHES.flatMap((batch) =>
    directions.map((direction) => ({ batch, direction, whole: [0], parts: [0], torch: [0] })),
  );
  const products: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    products[round] = await gigaflopsOfProduct(whole);
    for (const { batch, direction, ...rates } of cases) {
      rates.whole[round] = await byWhole(direction, batch);
      rates.parts[round] = await byParts(direction, batch);
      rates.torch[round] = await torch.rate(direction, batch);
    }
  }
  const work = { forward: multiplyAdds(forwardGraph(network)), inverse: multiplyAdds(inverseGraph(network)!) };
  const { grid } = network;
  const product = typical(products);
  const about = { network: NETWORK, grid, multiplyAdds: work, logitsError: rounded(logitsError) };
  yield { ...about, matrixProductGigaflops: rounded(product), pytorchBlas: torch.blas };
  for (const { batch, direction, ...rates } of cases) {
    const [one, two, theirs] = [typical(rates.whole), typical(rates.parts), typical(rates.torch)];
    const best = Math.max(one, two);
    const gigaflops = (2 * work[direction] * best) / 1e9;
    const figures = {
      oneSessionOfTwoThreads: one,
      twoSessionsOfOneThread: two,
      pytorch: theirs,
      ratio: best / theirs,
      gigaflops,
      ofMatrixProduct: gigaflops / product,
    };
    yield { grid, batch, direction, ...readable(figures) };
  }
}

/** The median of all rounds but the first, in which models are loaded and memory is allocated. */
const typical = (rounds: readonly number[]): number => median(rounds.slice(1));

/** Returns the features of all images. @throws Error where the logits are not PyTorch's, or Φ⁻¹ does not invert Φ */
async function check({ run }: SessionThread, images: Tensor<'uint8'>, expected: Float32Array) {
  const { features, logits } = (await run(orderOf('forward', images, 1))).outputs;
  const { pixels } = (await run(orderOf('inverse', features!, 1))).outputs;
  if (Buffer.compare(images.data, bytesOf(pixels!)) !== 0) throw new Error('Φ⁻¹ did not give the images back');
  const logitsError = relativeError(expected, logits!.data as Float32Array);
  if (!(logitsError <= TOLERANCE)) throw new Error(`logits differ from PyTorch's by ${logitsError}`);
  return { features: features!, logitsError };
}

/** Writes the model, the matrix product and the settings of PyTorch to a folder; returns the images, which PyTorch gets too. */
async function prepare(folder: string, configuration: Configuration, network: Network): Promise<Tensor<'uint8'>> {
  const { pixels, count, height, width, channels } = noiseImages(Math.max(...BATCHES), network.input, 2);
  const images = tensor('uint8', [count, height, width, channels], pixels);
  await randomModel(folder, configuration);
  await writeFile(join(folder, 'product.onnx'), emitInline(productGraph(), new Map()));
  await writeFile(join(folder, 'pixels.bin'), pixels);
  const settings = {
    ...(await torchSettings(folder)),
    pixels: { file: join(folder, 'pixels.bin'), shape: images.dims },
    threads: THREADS,
  };
  await writeFile(join(folder, 'torch.json'), JSON.stringify(settings));
  return images;
}

function orderOf(direction: Direction, t: Tensor, runs: number): Order {
  return direction === 'forward'
    ? { graph: direction, feeds: { pixels: t }, fetch: ['features', 'logits'], runs }
    : { graph: direction, feeds: { features: t }, fetch: ['pixels'], runs };
}

const rateOf =
  (threads: readonly SessionThread[], inputs: Inputs): Rate =>
  async (direction, batch) =>
    batch *
    (await runsPerSecond(threads, orderOf(direction, owned(rows(inputs[direction], 0, batch)), IMAGES / batch)));

const square = [PRODUCT.size, PRODUCT.size];

/** a · b · b · … */
function productGraph(): Graph {
  const [a, b] = [input('a', 'float32', square), input('b', 'float32', square)];
  let y = a;
  for (let i = 0; i < PRODUCT.times; i++) y = matmul(y, b);
  return { name: 'product', inputs: [a, b], outputs: { y } };
}

async function gigaflopsOfProduct(worker: SessionThread): Promise<number> {
  // A matrix of 1/n everywhere is its own square, so nothing overflows.
  const a = tensor('float32', square, new Float32Array(sizeOf(square)).fill(1 / PRODUCT.size));
  const rate = await runsPerSecond([worker], { graph: 'product', feeds: { a, b: a }, fetch: ['y'], runs: 2 });
  return (2 * PRODUCT.size ** 3 * PRODUCT.times * rate) / 1e9;
}

/** PyTorch's logits of all images, and its rate. */
async function openThroughput(settings: string) {
  const torch = await openTorch('throughput.py', settings);
  const { logits, blas } = await torch.answer<{ logits: number[]; blas: string[] }>();
  const rate: Rate = async (direction, batch) =>
    IMAGES / (await torch.ask<{ seconds: number }>({ direction, batch, runs: IMAGES / batch })).seconds;
  return {
    logits: Float32Array.from(logits),
    blas,
    rate,
    [Symbol.asyncDispose]: () => torch[Symbol.asyncDispose](),
  };
}

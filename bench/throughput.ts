import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { type Configuration, configurations } from '../export/architectures/configurations.js';
import { buildNetwork, type Network, withGrid } from '../export/architectures/index.js';
import { type Graph, input, topological } from '../export/graph.js';
import { createModel } from '../export/model/create.js';
import { emitInline, forwardGraph, inverseGraph, networkParameters } from '../export/model/graphs.js';
import { relativeError } from '../export/model/measure.js';
import { noiseImages } from '../export/model/noise.js';
import { WEIGHTS_FILE, weightsLayout } from '../export/model/weights.js';
import { matmul } from '../export/ops/matmul.js';
import { packagePath } from '../export/package.js';
import { seeded } from '../export/random.js';
import { staticShape } from '../export/shape.js';
import { bytesOf, sizeOf, type Tensor, tensor } from '../export/tensor.js';
import { initialise } from '../export/train/initialise.js';
import { owned, rows } from '../src/inference/rows.js';
import { median, rounded } from './statistics.js';
import type { Message, Order, Outcome, WorkerSettings } from './throughput-worker.js';

const NETWORK = 'irevnet-b';
const THREADS = 2;
const BATCHES = [1, 2, 8];
/** Images that a session computes in one measurement, whatever the batch. */
const IMAGES = 8;
const ROUNDS = 5;
/** The matrix product that the rate is compared with, so many times in one graph that the call itself costs nothing. */
const PRODUCT = { size: 1024, times: 8 };
/** How far logits may be from PyTorch's, relatively. A grid moves streams by half its step; PyTorch has none. */
const TOLERANCE = { plain: 1e-4, grid: 1e-2 };

const graphs = {
  forward: { input: 'pixels', fetch: ['features', 'logits'] },
  inverse: { input: 'features', fetch: ['pixels'] },
} as const;
type Direction = keyof typeof graphs;
/** One way to run the network: images a second, measured. */
type Rate = (direction: Direction, batch: number) => Promise<number>;

/**
 * Images a second of Φ and Φ⁻¹ in ONNX Runtime over PyTorch's, on a network of random weights for ImageNet: a few images by
 * one, then by the other, in turn. First on the grid that ships, then on plain floats; PyTorch's are plain both times.
 */
export async function* throughput(): AsyncGenerator<object> {
  const shipped = configurations[NETWORK]!;
  for (const configuration of [shipped, withGrid(shipped, null)]) {
    const folder = await mkdtemp(join(tmpdir(), 'irevnet-bench-'));
    try {
      yield* compare(join(folder, 'model'), configuration);
    } finally {
      await rm(folder, { recursive: true });
    }
  }
}

async function* compare(folder: string, configuration: Configuration): AsyncGenerator<object> {
  const network = buildNetwork(configuration);
  const { grid } = network;
  const images = await prepare(folder, configuration, network);
  const torch = await openTorch(join(folder, 'torch.json'));
  const whole = openWorker({ folder, threads: THREADS });
  const parts = Array.from({ length: THREADS }, () => openWorker({ folder, threads: 1 }));
  try {
    const { features, logits } = (await whole.run(orderOf('forward', images, 1))).outputs;
    const { pixels } = (await whole.run(orderOf('inverse', features!, 1))).outputs;
    if (Buffer.compare(images.data, bytesOf(pixels!)) !== 0) throw new Error('Φ⁻¹ did not give the images back');
    const logitsError = relativeError(torch.logits, logits!.data as Float32Array);
    const tolerance = grid === null ? TOLERANCE.plain : TOLERANCE.grid;
    if (!(logitsError <= tolerance)) throw new Error(`logits differ from PyTorch's by ${logitsError}`);

    const inputs = { forward: images, inverse: features! };
    const ways = {
      oneSessionOfTwoThreads: rateOf([whole], inputs),
      twoSessionsOfOneThread: rateOf(parts, inputs),
      pytorch: torch.rate,
    };
    const work = { forward: multiplyAdds(forwardGraph(network)), inverse: multiplyAdds(inverseGraph(network)!) };
    const cases = BATCHES.flatMap((batch) => [
      { batch, direction: 'forward' as const, found: new Map<string, number[]>() },
      { batch, direction: 'inverse' as const, found: new Map<string, number[]>() },
    ]);
    const products: number[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      products.push(await gigaflopsOfProduct(whole));
      for (const { batch, direction, found } of cases) {
        for (const [way, rate] of Object.entries(ways)) {
          const value = await rate(direction, batch);
          // The first round loads the models and takes the memory.
          if (round > 0) found.set(way, [...(found.get(way) ?? []), value]);
        }
      }
    }
    const product = median(products);
    const error = rounded(logitsError);
    yield { network: NETWORK, grid, multiplyAdds: work, logitsError: error, matrixProductGigaflops: rounded(product) };
    for (const { batch, direction, found } of cases) {
      const rates = Object.fromEntries([...found].map(([way, values]) => [way, median(values)]));
    }
  } finally {
    await Promise.all([whole, ...parts, torch].map(({ close }) => close()));
  }
}

import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import { noiseImages } from '../export/data/noise.js';
import { seeded } from '../export/data/random.js';
import { packagePath } from '../export/files/package.js';
import { type Tensor, tensor } from '../export/graph/tensor.js';
import { readModelFolder } from '../export/model/folder.js';
import { networkParameters } from '../export/model/graphs.js';
import type { Manifest } from '../export/model/manifest.js';
import { measure, relativeError } from '../export/model/measure.js';
import { configurations } from '../export/networks/configurations.js';
import { buildNetwork, withGrid } from '../export/networks/index.js';
import { runConvolution } from '../export/runtime/cuda.js';
import { openPlaced } from '../export/runtime/placement.js';
import { CPU, type Device, openSession, type Provider, type Session } from '../export/runtime/session.js';
import { initialise } from '../export/train/initialise.js';
import { positive, whole } from '../src/cli/numbers.js';
import { chooseProvider } from '../src/engine/local.js';
import { padded } from '../src/engine/padding.js';
import { probeOf, selfTest } from '../src/engine/self-test.js';
import { openPerSize } from '../src/engine/sessions.js';
import { batchSizes } from '../src/engine/sizing.js';
import { closedLoop, summary } from './load.js';
import { randomModel, withFolder } from './models.js';
import { photographs } from './pictures.js';
import { startServer, withServer } from './server.js';
import { median, rounded, timed } from './statistics.js';
import { BATCH, ownSteps } from './training-step.js';

// What holds on a GPU and how fast it is, as JSON lines; where there is none it says so and ends well. With --provider cpu
// the same is done without one, which shows that the check itself works.

/** How far logits may be from the CPU's, relatively. */
const TOLERANCE = 1e-3;
/** How many times as long batches of different sizes may take in turn; where convolutions are planned anew it is 100. */
const IN_TURN = 10;
const ROUNDS = 20;
const BATCHES = [1, 8, 64];
const CLIENTS = [1, 64];
const atLeastOne = (text: string, sizes: number[] = []) => [...sizes, whole(1)(text)];

const options = new Command('gpu-check')
  .description(
    'Says as JSON lines what holds on a GPU and how fast it is; where there is none it says so and ends well.',
  )
  .addOption(new Option('--provider <name>', 'what runs the graphs').choices(['cuda', 'cpu']).default('cuda'))
  .option('--device <n>', 'the number of the GPU', whole(0), 0)
  .addOption(
    new Option('--model <names...>', 'the shipped model, and networks with random weights')
      .choices(Object.keys(configurations))
      .default(['fashion-mnist', 'irevnet-b']),
  )
  .option('--batch <sizes...>', `images in a batch (default: ${BATCHES.join(' ')})`, atLeastOne)
  .option('--images <n>', 'images that are encoded and decoded', whole(1), 256)
  .option('--seconds <n>', 'how long the service is under load, each time', positive, 5)
  .parse()
  .opts<{ provider: Provider; device: number; model: string[]; batch?: number[]; images: number; seconds: number }>();
const { provider, images: count, batch: batches = BATCHES } = options;
const device: Device = { provider, id: options.device };
const threads = availableParallelism();
const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

interface Graphs {
  readonly forward: Session;
  readonly inverse: Session;
}

/** As a worker of the service has them. */
async function openThere(folder: string, manifest: Manifest, sizes: readonly number[]): Promise<Graphs> {
  const open = (graph: 'forward' | 'inverse') =>
    openPerSize(sizes, (images) =>
      openPlaced(join(folder, `${graph}.onnx`), { threads, device }, (session) =>
        session.run(probeOf(manifest, graph, images)),
      ),
    );
  return { forward: await open('forward'), inverse: await open('inverse') };
}

async function openHere(folder: string): Promise<Graphs> {
  const open = (graph: string) => openSession(join(folder, `${graph}.onnx`), { threads, device: CPU });
  return { forward: await open('forward'), inverse: await open('inverse') };
}

/** Runs always on padded batches, as the service does. */
const bucketed = ({ forward, inverse }: Graphs, buckets: readonly number[]): Graphs => ({
  forward: { ...forward, run: padded(forward, buckets) },
  inverse: { ...inverse, run: padded(inverse, buckets) },
});

/** Every check of one model. */
async function checkModel(folder: string, images: number): Promise<boolean> {
  const manifest = await readModelFolder(folder);
  const { name: model, input } = manifest;
  const found = batchSizes({ maxBatch: 0, batchBuckets: '' }, [{ folder, manifest }], provider);
  const limit = found.limits.get(model)!;
  const buckets = provider === 'cpu' ? [1, limit] : found.buckets.get(model)!;
  const there = await openThere(folder, manifest, [...new Set([...buckets, ...batches])]);
  const here = await openHere(folder);
  const [gpu, cpu] = [bucketed(there, buckets), here];
  const noise = noiseImages(images, input, 3);
  const some = tensor('uint8', [4, input.height, input.width, input.channels], noiseImages(4, input, 4).pixels);
  print({
    check: 'placement',
    model,
    provider,
    ok: true,
    what: 'every convolution and product of Φ and Φ⁻¹ ran there',
  });

  const [ours, theirs] = await Promise.all([gpu, cpu].map(({ forward }) => forward.run({ pixels: some }, ['logits'])));
  const error = relativeError(ours!.logits!.data as Float32Array, theirs!.logits!.data as Float32Array);
  print({ check: 'logits', model, relativeError: rounded(error), atMost: TOLERANCE, ok: error <= TOLERANCE });

  const tried = { encode: buckets, decode: buckets };
  const tested = await selfTest(manifest, there.forward, there.inverse, tried).catch(({ message }: Error) => message);
  const trusted = typeof tested === 'object';
  let ok = trusted && error <= TOLERANCE;
  print({ check: 'self-test', model, buckets, ...(trusted ? tested : { message: tested }), ok: trusted });

  for (const [way, graphs] of Object.entries({
    'there and back on the device': gpu,
    'encoded on the device, decoded on the CPU': { forward: gpu.forward, inverse: cpu.inverse },
    'encoded on the CPU, decoded on the device': { forward: cpu.forward, inverse: gpu.inverse },
  })) {
    const { inversion } = await measure(graphs, noise, { encode: limit, decode: 1 });
    // Between devices nothing is promised.
    const exact = graphs === gpu ? { ok: inversion!.exactPixels === images } : {};
    ok = ok && (exact.ok ?? true);
    const pixelsRecovered = rounded(await pixelShare(graphs, noise.pixels, input));
    print({ check: 'round trip', model, way, images, ...inversion, pixelsRecovered, ...exact });
  }
  for (const batch of batches) print(await speed(there, manifest, batch));
  const inTurn = await changingSizes(there, manifest, buckets);
  print(inTurn);
  for (const session of [there.forward, there.inverse, here.forward, here.inverse]) await session.release();
  ok = ok && inTurn.ok;
  for await (const line of underLoad(folder, manifest)) {
    print(line);
    ok = ok && line.ok;
  }
  return ok;
}

/** The share of 8-bit values that come back, one image at a time. */
async function pixelShare({ forward, inverse }: Graphs, pixels: Uint8Array, input: Manifest['input']): Promise<number> {
  const size = input.height * input.width * input.channels;
  let equal = 0;
  for (let at = 0; at < pixels.length; at += size) {
    const image = pixels.subarray(at, at + size);
    const feeds = { pixels: tensor('uint8', [1, input.height, input.width, input.channels], image) };
    const { features } = await forward.run(feeds, ['features']);
    const back = (await inverse.run({ features: features! }, ['pixels'])).pixels!.data as Uint8Array;
    for (let i = 0; i < size; i++) equal += Number(back[i] === image[i]);
  }
  return equal / pixels.length;
}

async function speed({ forward, inverse }: Graphs, { name, input }: Manifest, batch: number) {
  const { pixels } = noiseImages(batch, input, 5);
  const feeds = { pixels: tensor('uint8', [batch, input.height, input.width, input.channels], pixels) };
  const { features } = await forward.run(feeds, ['features']);
  await inverse.run({ features: features! }, ['pixels']);
  const rate = async (session: Session, inputs: Record<string, Tensor>, output: string) =>
    rounded((1000 * batch) / (await usual(() => session.run(inputs, [output]))));
  return {
    check: 'speed',
    model: name,
    batch,
    forwardPerSecond: await rate(forward, feeds, 'logits'),
    inversePerSecond: await rate(inverse, { features: features! }, 'pixels'),
  };
}

/** The time that batches of the least and of the most images take in turn, over what they take each among their like. */
async function changingSizes({ forward }: Graphs, { name, input }: Manifest, sizes: readonly number[]) {
  const runs = [Math.min(...sizes), Math.max(...sizes)].map((images) => {
    const { pixels } = noiseImages(images, input, 6);
    const feeds = { pixels: tensor('uint8', [images, input.height, input.width, input.channels], pixels) };
    return () => forward.run(feeds, ['logits']);
  });
  const [small, large] = runs as [() => Promise<unknown>, () => Promise<unknown>];
  const alone = (await usual(small)) + (await usual(large));
  const inTurn = await usual(async () => {
    await small();
    await large();
  });
  const timeOverAlone = rounded(inTurn / alone);
  return { check: 'sizes in turn', model: name, timeOverAlone, atMost: IN_TURN, ok: timeOverAlone <= IN_TURN };
}

/** The median of a few times, in milliseconds. */
async function usual(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await timed(run));
  return median(times);
}

/** What the service does there, as it starts without other flags, with this process as its clients. */
async function* underLoad(folder: string, { name, input }: Manifest) {
  const requests = (await photographs(8, input.height)).map((body) => ({
    path: '/classify',
    headers: { 'content-type': 'image/jpeg' },
    body,
  }));
  const flags = ['--models', dirname(folder), '--model', name];
  const there = ['--execution-provider', provider, '--devices', `${device.id}`];
  yield* withServer(startServer([...flags, ...there]), async function* ({ base }) {
    for (const clients of CLIENTS) {
      const load = await closedLoop(base, requests, { clients, seconds: options.seconds });
      const ok = Object.keys(load.latencies).join() === '200';
      yield { check: 'service', model: name, clients, ...summary(load), ok };
    }
  });
}

async function checkTraining(): Promise<void> {
  const network = buildNetwork(withGrid(configurations['fashion-mnist']!, null));
  const weights = initialise(networkParameters(network), seeded(1));
  const labels = BigInt64Array.from({ length: BATCH }, (_, i) => BigInt(i % 10));
  const { pixels } = noiseImages(BATCH, network.input, 2);
  const data = { pixels: tensor('uint8', [BATCH, 28, 28, 1], pixels), labels: tensor('int64', [BATCH], labels) };
  const { milliseconds, losses } = await ownSteps(network, weights, data, { threads, device });
  const perSecond = rounded(1000 / median(milliseconds.slice(2)));
  print({
    check: 'training',
    network: 'fashion-mnist',
    batch: BATCH,
    stepsPerSecond: perSecond,
    lossAfter: losses.at(-1),
  });
}

const { provider: found, because } = await chooseProvider(provider === 'cuda' ? 'auto' : 'cpu', [device.id]);
if (found !== provider) {
  print({ skipped: 'there is no NVIDIA GPU that ONNX Runtime can use', because });
} else {
  await runConvolution({ device, threads });
  print({ check: 'provider', provider, device: device.id, ok: true });
  let ok = true;
  for (const model of options.model) {
    if (model === 'fashion-mnist') ok = (await checkModel(packagePath('onnx', model), count)) && ok;
    else {
      const made = withFolder<object>(async function* (folder) {
        await randomModel(join(folder, model), configurations[model]!);
        // Each image has many more pixels.
        ok = (await checkModel(join(folder, model), Math.max(1, Math.floor(count / 16)))) && ok;
        yield {};
      });
      for await (const _ of made);
    }
  }
  await checkTraining();
  if (!ok) process.exitCode = 1;
}

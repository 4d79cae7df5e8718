import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import { noiseImages } from '../export/data/noise.js';
import { inMemory } from '../export/data/source.js';
import { packagePath } from '../export/files/package.js';
import { owned, rows } from '../export/graph/rows.js';
import { type Tensor, tensor } from '../export/graph/tensor.js';
import { readModelFolder } from '../export/model/folder.js';
import type { Manifest } from '../export/model/manifest.js';
import { measure, relativeError } from '../export/model/measure.js';
import { configurations } from '../export/networks/configurations.js';
import { runConvolution } from '../export/runtime/cuda.js';
import { openPlaced } from '../export/runtime/placement.js';
import { CPU, type Device, openSession, type Provider, type Session } from '../export/runtime/session.js';
import { positive, whole } from '../src/cli/numbers.js';
import { chooseProvider } from '../src/engine/local.js';
import { padded } from '../src/engine/padding.js';
import { probeOf, selfTest } from '../src/engine/self-test.js';
import { openPerSize } from '../src/engine/sessions.js';
import { batchSizes } from '../src/engine/sizing.js';
import { closedLoop, summary } from './load.js';
import { photographs } from './pictures.js';
import { post } from './requests.js';
import { startServer, temporaryFolder } from './server.js';
import { median, rounded, timed } from './statistics.js';
import { randomModel } from './subjects.js';
import { BATCH, ownSteps, torchStepsOnGpu } from './training-step.js';

// Checks what holds on a GPU and measures how fast it is; prints JSON lines. Without a GPU it says so and exits with 0.
// With `--provider cpu` the same checks run on the CPU, so that they can be tested.

/** The largest relative difference to the CPU's logits. */
const TOLERANCE = 1e-3;
/** The largest ratio of the time of different batch sizes in turn to their time alone. Planning convolutions anew costs 100. */
const IN_TURN = 10;
const ROUNDS = 20;
const BATCHES = [1, 8, 64];
const CLIENTS = [1, 64];

const DESCRIPTION = 'Checks what holds on a GPU and measures how fast it is; prints JSON lines.';
const listOfSizes = (text: string, sizes: number[] = []) => [...sizes, whole(1)(text)];
const options = new Command('gpu-check')
  .description(`${DESCRIPTION} Without a GPU it says so and exits with 0.`)
  .addOption(new Option('--provider <name>', 'where graphs run').choices(['cuda', 'cpu']).default('cuda'))
  .option('--device <n>', 'the number of the GPU', whole(0), 0)
  .addOption(
    new Option('--model <names...>', 'the shipped model, and networks with random weights')
      .choices(Object.keys(configurations))
      .default(['fashion-mnist', 'irevnet-b']),
  )
  .option('--batch <sizes...>', `images in a batch (default: ${BATCHES.join(' ')})`, listOfSizes)
  .option(
    '--images <n>',
    'images in the round trips; a sixteenth of them for a network with random weights',
    whole(1),
    256,
  )
  .option('--seconds <n>', 'duration of each load on the service', positive, 5)
  .parse()
  .opts<{ provider: Provider; device: number; model: string[]; batch?: number[]; images: number; seconds: number }>();
const { provider, batch: batches = BATCHES } = options;
const device: Device = { provider, id: options.device };
const threads = availableParallelism();

/** What a check found; `ok` is missing where nothing is promised. */
interface Line {
  readonly check: string;
  readonly ok?: boolean;
  readonly [figure: string]: unknown;
}

interface Graphs {
  readonly forward: Session;
  readonly inverse: Session;
}

/** Opens both graphs on the device as a worker of the service does. @throws PlacementError where a part runs elsewhere */
async function openOnDevice(folder: string, manifest: Manifest, sizes: readonly number[]): Promise<Graphs> {
  const open = (graph: 'forward' | 'inverse') =>
    openPerSize(sizes, (images) =>
      openPlaced(join(folder, `${graph}.onnx`), { threads, device }, (session) =>
        session.run(probeOf(manifest, graph, images)),
      ),
    );
  return { forward: await open('forward'), inverse: await open('inverse') };
}

async function openOnCpu(folder: string): Promise<Graphs> {
  const open = (graph: string) => openSession(join(folder, `${graph}.onnx`), { threads, device: CPU });
  return { forward: await open('forward'), inverse: await open('inverse') };
}

/** The same graphs, which pad every batch to one of these sizes as the service does. */
const bucketed = ({ forward, inverse }: Graphs, buckets: readonly number[]): Graphs => ({
  forward: { ...forward, run: padded(forward, buckets) },
  inverse: { ...inverse, run: padded(inverse, buckets) },
});

/** Images of noise. */
const noise = ({ input }: Manifest, count: number, seed: number): Tensor<'uint8'> =>
  tensor('uint8', [count, input.height, input.width, input.channels], noiseImages(count, input, seed).pixels);

/** All checks of one model. */
async function* checkModel(folder: string, images: number): AsyncGenerator<Line> {
  const manifest = await readModelFolder(folder);
  const { name: model } = manifest;
  const sizes = batchSizes({ maxBatch: 0, batchBuckets: '' }, manifest, provider);
  const buckets = provider === 'cpu' ? [1, sizes.limit] : sizes.buckets;
  const onDevice = await openOnDevice(folder, manifest, [...new Set([...buckets, ...batches])]);
  const cpu = await openOnCpu(folder);
  const gpu = bucketed(onDevice, buckets);
  const what = 'every convolution and product of Φ and Φ⁻¹ ran on the device';
  yield { check: 'placement', model, provider, ok: true, what };

  const feeds = { pixels: noise(manifest, 4, 4) };
  const [ours, theirs] = [await gpu.forward.run(feeds, ['logits']), await cpu.forward.run(feeds, ['logits'])];
  const error = relativeError(ours.logits!.data as Float32Array, theirs.logits!.data as Float32Array);
  yield { check: 'logits', model, relativeError: rounded(error), atMost: TOLERANCE, ok: error <= TOLERANCE };

  const tried = { encode: buckets, decode: buckets };
  yield await selfTest(manifest, onDevice.forward, onDevice.inverse, tried).then(
    (found) => ({ check: 'self-test', model, buckets, ...found, ok: true }),
    ({ message }: Error) => ({ check: 'self-test', model, buckets, message, ok: false }),
  );

  for (const [way, graphs] of Object.entries({
    'there and back on the device': gpu,
    'encoded on the device, decoded on the CPU': { forward: gpu.forward, inverse: cpu.inverse },
    'encoded on the CPU, decoded on the device': { forward: cpu.forward, inverse: gpu.inverse },
  })) {
    const { inversion } = await measure(graphs, inMemory(noiseImages(images, manifest.input, 3)), {
      encode: sizes.limit,
      decode: 1,
    });
    const pixelsRecovered = rounded(await shareOfPixels(graphs, manifest, images));
    // Between different devices nothing is promised.
    const promised = graphs === gpu ? { ok: inversion!.exactPixels === images } : {};
    yield { check: 'round trip', model, way, images, ...inversion, pixelsRecovered, ...promised };
  }
  for (const batch of batches) yield await speed(onDevice, manifest, batch);
  yield await sizesInTurn(onDevice, manifest, buckets);
  for (const session of [onDevice.forward, onDevice.inverse, cpu.forward, cpu.inverse]) await session.release();
  yield* underLoad(folder, manifest);
}

/** The share of 8-bit values that the round trip gives back, one image at a time. */
async function shareOfPixels({ forward, inverse }: Graphs, manifest: Manifest, images: number): Promise<number> {
  const all = noise(manifest, images, 3);
  let equal = 0;
  for (let i = 0; i < images; i++) {
    const pixels = owned(rows(all, i, i + 1)) as Tensor<'uint8'>;
    const { features } = await forward.run({ pixels }, ['features']);
    const back = (await inverse.run({ features: features! }, ['pixels'])).pixels!.data as Uint8Array;
    equal += pixels.data.filter((value, at) => value === back[at]).length;
  }
  return equal / all.data.length;
}

/** Images a second, with the copies to the device and back. */
async function speed({ forward, inverse }: Graphs, manifest: Manifest, batch: number): Promise<Line> {
  const feeds = { pixels: noise(manifest, batch, 5) };
  const { features } = await forward.run(feeds, ['features']);
  await inverse.run({ features: features! }, ['pixels']);
  const rate = async (run: () => Promise<unknown>) => rounded((1000 * batch) / (await usual(run)));
  return {
    check: 'speed',
    model: manifest.name,
    batch,
    forwardPerSecond: await rate(() => forward.run(feeds, ['logits'])),
    inversePerSecond: await rate(() => inverse.run({ features: features! }, ['pixels'])),
  };
}

/** The time of the smallest and the largest batch in turn over the time of each alone. */
async function sizesInTurn({ forward }: Graphs, manifest: Manifest, sizes: readonly number[]): Promise<Line> {
  const run = (images: number) => {
    const feeds = { pixels: noise(manifest, images, 6) };
    return () => forward.run(feeds, ['logits']);
  };
  const [small, large] = [run(Math.min(...sizes)), run(Math.max(...sizes))];
  const alone = (await usual(small)) + (await usual(large));
  const inTurn = await usual(async () => {
    await small();
    await large();
  });
  const timeOverAlone = rounded(inTurn / alone);
  const ok = timeOverAlone <= IN_TURN;
  return { check: 'sizes in turn', model: manifest.name, timeOverAlone, atMost: IN_TURN, ok };
}

/** The median time of several runs, in milliseconds. */
async function usual(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await timed(run));
  return median(times);
}

/** The service on the device, with otherwise default settings, under load from this process. */
async function* underLoad(folder: string, { name, input }: Manifest): AsyncGenerator<Line> {
  const requests = (await photographs(8, input.height)).map((image) => post('/classify', 'image/jpeg', image));
  const flags = ['--models', dirname(folder), '--model', name];
  const onDevice = ['--execution-provider', provider, '--devices', `${device.id}`];
  await using server = await startServer([...flags, ...onDevice]);
  for (const clients of CLIENTS) {
    const load = await closedLoop(server.base, requests, { clients, seconds: options.seconds });
    const ok = load.answers.every(({ status }) => status === '200');
    yield { check: 'service', model: name, clients, ...summary(load), ok };
  }
}

async function checkTraining(): Promise<Line> {
  const own = await ownSteps({ threads, device });
  const torch = provider === 'cuda' ? await torchStepsOnGpu(threads).catch(({ message }: Error) => message) : undefined;
  return {
    check: 'training',
    network: 'fashion-mnist',
    batch: BATCH,
    stepsPerSecond: rounded(1000 / own.milliseconds),
    lossAfter: own.loss,
    ...(torch !== undefined && {
      pytorch:
        typeof torch === 'string'
          ? { missing: torch }
          : { stepsPerSecond: rounded(1000 / torch.milliseconds), lossAfter: torch.loss },
    }),
  };
}

async function* checks(): AsyncGenerator<Line> {
  await runConvolution({ device, threads });
  yield { check: 'provider', provider, device: device.id, ok: true };
  for (const model of options.model) {
    if (model === 'fashion-mnist') {
      yield* checkModel(packagePath('onnx', model), options.images);
    } else {
      await using temporary = await temporaryFolder();
      const folder = join(temporary.path, model);
      await randomModel(folder, configurations[model]!);
      yield* checkModel(folder, Math.ceil(options.images / 16));
    }
  }
  yield await checkTraining();
}

const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const { provider: found, because } = await chooseProvider(provider === 'cuda' ? 'auto' : 'cpu', [device.id]);
if (found !== provider) print({ skipped: 'there is no NVIDIA GPU that ONNX Runtime can use', because });
else {
  for await (const line of checks()) {
    print(line);
    if (line.ok === false) process.exitCode = 1;
  }
}

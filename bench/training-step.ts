import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pixelsOf } from '../export/data/images.js';
import { configurations } from '../export/networks/configurations.js';
import { buildNetwork, withGrid } from '../export/networks/index.js';
import type { SessionOptions } from '../export/runtime/session.js';
import { temporaryFolder } from './server.js';
import { median, rounded } from './statistics.js';
import { LEARNING_RATE, noise, openSteps, recipe, type Step } from './steps.js';
import { randomModel } from './subjects.js';
import { openTorch, torchSettings } from './torch.js';

/** Images in a step. */
export const BATCH = 128;
const STEPS = 30;
const WARM_UP = 2;
/** Milliseconds between two turns, so that threads which wait for more work in a loop have gone to sleep. */
const PAUSE = 50;
const configuration = withGrid(configurations['fashion-mnist']!, null);
const network = buildNetwork(configuration);

/**
 * The time of a training step over PyTorch's, on the same network, weights and images. The two take turns step by step, so
 * that other load meets both. The losses, which have to agree, are printed as well.
 */
export async function* trainingStep(): AsyncGenerator<object> {
  const threads = availableParallelism();
  await using folder = await temporaryFolder();
  await using torch = await openTorch('training_step.py', await settingsOf(folder.path, threads));
  await using own = await openSteps(network, { batch: BATCH }, { threads });
  const steps: [ours: Step, torch: Step][] = [];
  for (let i = 0; i < STEPS; i++) {
    const ours = await own.steps();
    await sleep(PAUSE);
    steps.push([ours, await torch.ask<Step>({})]);
    await sleep(PAUSE);
  }
  const measured = steps.slice(WARM_UP);
  const [stepMs, pytorchMs] = [0, 1].map((i) => median(measured.map((turn) => turn[i]!.milliseconds)));
  const [ours, theirs] = steps.at(-1)!;
  yield {
    batch: BATCH,
    threads,
    stepMs: rounded(stepMs!),
    pytorchMs: rounded(pytorchMs!),
    ratio: rounded(median(measured.map(([a, b]) => a.milliseconds / b.milliseconds))),
    lossAfter: { steps: STEPS, irevnet: ours.loss, pytorch: theirs.loss },
  };
}

/** Writes the network, its weights and the images for PyTorch. @returns the file of settings */
async function settingsOf(folder: string, threads: number, device: 'cpu' | 'cuda' = 'cpu'): Promise<string> {
  const [pixels, settings] = [join(folder, 'pixels.bin'), join(folder, 'settings.json')];
  await randomModel(join(folder, 'model'), configuration);
  const images = pixelsOf(noise(network, BATCH));
  await writeFile(pixels, images.data);
  const all = {
    ...(await torchSettings(join(folder, 'model'))),
    ...recipe,
    pixels: { file: pixels, shape: images.dims },
    learningRate: LEARNING_RATE,
    threads,
    device,
  };
  await writeFile(settings, JSON.stringify(all));
  return settings;
}

/** Steps of the shipped network from random weights on a device, many in one run of the session. */
export async function ownSteps(options: SessionOptions): Promise<Step> {
  await using own = await openSteps(network, { batch: BATCH }, options);
  await own.steps(WARM_UP);
  return await own.steps(STEPS);
}

/** The same steps by PyTorch on a GPU, of which the host waits for each. */
export async function torchStepsOnGpu(threads: number): Promise<Step> {
  await using folder = await temporaryFolder();
  await using torch = await openTorch('training_step.py', await settingsOf(folder.path, threads, 'cuda'));
  const steps: Step[] = [];
  for (let i = 0; i < WARM_UP + STEPS; i++) steps.push(await torch.ask<Step>({}));
  return { milliseconds: median(steps.slice(WARM_UP).map((step) => step.milliseconds)), loss: steps.at(-1)!.loss };
}

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { type Images, slice } from '../../export/data/images.js';
import { loadFor } from '../../export/data/index.js';
import { noiseImages } from '../../export/data/noise.js';
import { readNpy } from '../../export/formats/npy.js';
import { type Model, openModel, specificationOf } from '../../export/model/open.js';
import { compareWithReference } from '../../export/model/reference.js';
import { type Check, validate } from '../../export/model/validate.js';
import { withGrid } from '../../export/networks/index.js';
import { readInput } from './files.js';
import { modelFolder, modelsOption } from './models-folder.js';
import { whole } from './numbers.js';

interface CheckFlags {
  models?: string;
  reference?: string;
  data?: string;
  images: number;
  threads: number;
}
interface Flags extends CheckFlags {
  json: boolean;
}

/** `irevnet validate`: checks a model folder; exit code 1 when a check fails. */
export const validateCommand = new Command('validate')
  .description('check Φ and Φ⁻¹ against each other, against their configuration and against the manifest')
  .argument('<model>', 'name of the model')
  .addOption(modelsOption())
  .option('--data <folder>', 'where the data set with the test images lies (default: where Debian installs it)')
  .option('--images <n>', 'test images to try', whole(1), 500)
  .option('--threads <n>', 'threads', whole(1), availableParallelism())
  .option(
    '--reference <folder>',
    'compare with what another implementation computed instead: input.npy (normalised), logits.npy, features.npy',
  )
  .option('--json', 'print the checks as JSON', false)
  .action(async (name: string, flags: Flags) => {
    const checks = await checkModel(name, flags);
    for (const { check, outcome, detail } of checks) {
      if (!flags.json) process.stdout.write(`${outcome.padEnd(8)}${check}: ${detail}\n`);
    }
    if (flags.json) process.stdout.write(`${JSON.stringify({ model: name, checks })}\n`);
    if (checks.some((c) => c.outcome === 'failed')) process.exitCode = 1;
  });

/** Checks a model, or compares it with what another implementation computed. @throws ModelError, DatasetError */
export async function checkModel(name: string, flags: CheckFlags): Promise<Check[]> {
  const model = await openModel(modelFolder(flags.models, name));
  return flags.reference
    ? againstReference(model, flags.reference)
    : validate(model, await imagesFor(model, flags), flags.threads);
}

/** Test images of the data set that the model was trained on; noise for a model that was not trained here. */
async function imagesFor({ network, manifest }: Model, { data, images }: CheckFlags): Promise<Images> {
  const dataset = manifest.training?.dataset;
  if (typeof dataset !== 'string') return noiseImages(Math.min(images, NOISE_IMAGES), network.input, 2);
  const all = await loadFor(network, dataset, 'test', data);
  return slice(all, 0, Math.min(images, all.count));
}
const NOISE_IMAGES = 8;

/** Largest relative error (L2) between two implementations in float32. */
const TOLERANCE = 1e-4;

/**
 * Compares the network in plain floats, as the other implementation computes: a grid adds rounding that grows with the
 * blocks, and that `validate` without a reference judges.
 */
async function againstReference(model: Model, folder: string): Promise<Check[]> {
  const read = async (name: string) => readNpy(await readInput(join(folder, name)));
  const features = existsSync(join(folder, 'features.npy')) ? await read('features.npy') : undefined;
  const reference = { input: await read('input.npy'), logits: await read('logits.npy'), features };
  const plain = withGrid(specificationOf(model.manifest), null);
  const agreement = await compareWithReference(plain, model.weights, reference);
  const how = model.network.grid === null ? '' : ` in plain floats, without the grid of 2^-${model.network.grid}`;
  return Object.entries(agreement).flatMap(([what, error]: [string, number | null]): Check[] => {
    if (error === null) return [];
    const outcome = error <= TOLERANCE ? 'ok' : 'failed';
    return [{ check: what, outcome, detail: `relative error ${error.toExponential(1)}${how}, at most ${TOLERANCE}` }];
  });
}

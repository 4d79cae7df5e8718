import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { selectContent } from '../../export/data/dataset.js';
import type { Images } from '../../export/data/images.js';
import { knownDatasets } from '../../export/data/index.js';
import { noiseImages } from '../../export/data/noise.js';
import { readNpy } from '../../export/formats/npy.js';
import { type Model, openModel, specificationOf } from '../../export/model/open.js';
import { compareWithReference } from '../../export/model/reference.js';
import { type Check, validate } from '../../export/model/validate.js';
import { withGrid } from '../../export/networks/index.js';
import { addDataOptions, type DataFlags, withData, withImages } from './data.js';
import { readInput } from './files.js';
import { modelFolder, modelsOption } from './models-folder.js';
import { whole } from './numbers.js';

interface CheckFlags extends DataFlags {
  models?: string;
  reference?: string;
  images: number;
  threads: number;
}
interface Flags extends CheckFlags {
  json: boolean;
}

/** `irevnet validate`: checks a model folder; exit code 1 when a check fails. */
export const validateCommand = addDataOptions(
  new Command('validate')
    .description('check Φ and Φ⁻¹ against each other, against their configuration and against the manifest')
    .argument('<model>', 'name of the model')
    .addOption(modelsOption()),
)
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

/**
 * Images of the data set that is named, or of the known one that the model was trained on: test images where there are some.
 * Noise for other models.
 */
async function imagesFor({ network, manifest }: Model, flags: CheckFlags): Promise<Images> {
  const own = manifest.training?.dataset;
  const known = typeof own === 'string' && Object.hasOwn(knownDatasets, own) ? own : undefined;
  if ((flags.dataset ?? known ?? flags.data) === undefined)
    return noiseImages(Math.min(flags.images, NOISE_IMAGES), network.input, 2);
  return withData(flags, known, async (dataset) => {
    const content = await dataset.load(dataset.parts.includes('test') ? 'test' : dataset.parts[0]!);
    const first = Uint32Array.from({ length: Math.min(flags.images, content.labels.length) }, (_, i) => i);
    return withImages(selectContent(content, first), manifest, flags, (images) =>
      images.batch(first.subarray(0, images.count)),
    );
  });
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

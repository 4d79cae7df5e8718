import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { datasets, type Images, select } from '../../export/data/datasets.js';
import { noiseImages } from '../../export/data/noise.js';
import { readNpy } from '../../export/formats/npy.js';
import { type Model, openModel, specificationOf } from '../../export/model/open.js';
import { compareWithReference } from '../../export/model/reference.js';
import { type Check, validate } from '../../export/model/validate.js';
import { readInput } from './files.js';
import { modelFolder, modelsOption } from './models-folder.js';
import { whole } from './numbers.js';

interface Flags {
  models?: string;
  reference?: string;
  data?: string;
  images: number;
  threads: number;
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
    const model = await openModel(modelFolder(flags.models, name));
    const checks = flags.reference
      ? await againstReference(model, flags.reference)
      : await validate(model, await imagesFor(model, flags), flags.threads);
    for (const { check, outcome, detail } of checks) {
      if (!flags.json) process.stdout.write(`${outcome.padEnd(8)}${check}: ${detail}\n`);
    }
    if (flags.json) process.stdout.write(`${JSON.stringify({ model: name, checks })}\n`);
    if (checks.some((c) => c.outcome === 'failed')) process.exitCode = 1;
  });

/** Test images where the model takes such, noise elsewhere. */
async function imagesFor({ network, manifest }: Model, { data, images }: Flags): Promise<Images> {
  const dataset = datasets[String(manifest.training?.dataset)];
  if (!dataset) return noiseImages(Math.min(images, NOISE_IMAGES), network.input, 2);
  const all = await dataset.load(data ?? dataset.folder, 'test');
  return select(
    all,
    Array.from({ length: Math.min(images, all.count) }, (_, i) => i),
  );
}
const NOISE_IMAGES = 8;

/** Largest relative error (L2) from another implementation in float32. */
const TOLERANCE = 1e-4;

async function againstReference(model: Model, folder: string): Promise<Check[]> {
  const read = async (name: string) => readNpy(await readInput(join(folder, name)));
  const features = existsSync(join(folder, 'features.npy')) ? await read('features.npy') : undefined;
  const reference = { input: await read('input.npy'), logits: await read('logits.npy'), features };
  const agreement = await compareWithReference(specificationOf(model.manifest), model.weights, reference);
  return Object.entries(agreement).flatMap(([what, error]: [string, number | null]): Check[] => {
    if (error === null) return [];
    const outcome = error <= TOLERANCE ? 'ok' : 'failed';
    return [{ check: what, outcome, detail: `relative error ${error.toExponential(1)}, at most ${TOLERANCE}` }];
  });
}

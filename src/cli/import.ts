import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { noiseImages } from '../../export/data/noise.js';
import { type Given, importCheckpoint, importers, openCheckpoint } from '../../export/import/index.js';
import { createModel } from '../../export/model/create.js';
import { networkParameters } from '../../export/model/graphs.js';
import type { Manifest, Measured } from '../../export/model/manifest.js';
import { measureFolder } from '../../export/model/measure.js';
import { checkHeadroom, judge } from '../../export/model/validate.js';
import { readWeights, WEIGHTS_FILE } from '../../export/model/weights.js';
import { buildNetwork } from '../../export/networks/index.js';
import { readSpecification } from '../../export/networks/read.js';
import { requireHeadroom } from './headroom.js';
import { readLabels } from './labels.js';
import { modelFolder, modelsOption } from './models-folder.js';
import { between, whole } from './numbers.js';
import { byteProgress } from './progress.js';

interface ImportFlags {
  name: string;
  models?: string;
  config?: string;
  input?: [number, number];
  channels?: '1' | '3';
  initialPsi?: number;
  mean?: number[];
  std?: number[];
  grid?: number;
  shortSide?: number;
  labels?: string;
  threads: number;
}
interface Flags extends ImportFlags {
  json: boolean;
}

/** Parses "224" or "224x160", height first. */
function size(text: string): [number, number] {
  const [, height, width = height] = /^(\d+)(?:x(\d+))?$/.exec(text) ?? [];
  if (!Number(height) || !Number(width)) throw new InvalidArgumentError('Expected a size such as 224 or 224x160.');
  return [Number(height), Number(width)];
}

function numbers(text: string): number[] {
  return text.split(',').map((part) => between(-1000, 1000)(part.trim()));
}

/** `irevnet import`: makes a model folder of a checkpoint that other code wrote. */
export const importCommand = new Command('import')
  .description('write Φ, Φ⁻¹, their weights and the manifest of a checkpoint of PyTorch or safetensors')
  .argument('<file>', 'checkpoint; it is read as data, and nothing in it is run')
  .requiredOption('--name <name>', 'name of the model')
  .addOption(modelsOption())
  .option('--config <name or file>', 'the network: a name or a JSON file (default: inferred from the weights)')
  .option('--input <size>', 'height and width of the input, such as 224 or 224x160', size)
  .addOption(new Option('--channels <n>', 'channels of the images').choices(['1', '3']))
  .option('--initial-psi <n>', 'block size of the initial ψ; 1: none', whole(1))
  .option(
    '--mean <numbers>',
    'means of the pixels in [0, 1], one or one a channel; 0 with --std 1: plain [0, 1]',
    numbers,
  )
  .option('--std <numbers>', 'standard deviations of the pixels', numbers)
  .option(
    '--grid <k>',
    'put the streams on multiples of 2^-k, so that the inverse is exact; 0: plain floats (default: as in --config, else 0)',
    whole(0),
  )
  .option(
    '--short-side <pixels>',
    'scale uploads to this before the centre is cropped (default: 8/7 of the input)',
    whole(1),
  )
  .option('--labels <file>', 'class names, one a line or a JSON array (default: numbers)')
  .option('--threads <n>', 'threads for measuring', whole(1), availableParallelism())
  .option('--json', 'print the manifest as JSON', false)
  .addHelpText('after', `\nUnderstood: ${importers.map(({ description }) => description).join('; ')}.`)
  .action(async (file: string, flags: Flags) => {
    const manifest = await importModel(file, flags);
    process.stdout.write(flags.json ? `${JSON.stringify(manifest)}\n` : `${modelFolder(flags.models, flags.name)}\n`);
  });

/**
 * Writes the model folder of a checkpoint. What was inferred is printed to standard error.
 * @throws CheckpointFileError, ConfigError; Error when labels, name or grid do not fit
 */
export async function importModel(file: string, flags: ImportFlags): Promise<Manifest> {
  const checkpoint = await openCheckpoint(file);
  try {
    const specification = flags.config === undefined ? undefined : await readSpecification(flags.config);
    const imported = importCheckpoint(checkpoint, givenBy(flags), specification);
    show(imported.specification, imported.assumptions);
    return await write(imported, flags);
  } finally {
    await checkpoint.close();
  }
}

const givenBy = ({ input, channels, initialPsi, mean, std, grid }: ImportFlags): Given => ({
  input,
  initialPsi,
  mean,
  std,
  channels: channels && (Number(channels) as 1 | 3),
  grid: grid === 0 ? null : grid,
});

/** Prints what was inferred, to standard error: the output is for programs. */
function show(specification: object, assumptions: readonly string[]): void {
  process.stderr.write(`${JSON.stringify(specification)}\n`);
  for (const assumption of assumptions) process.stderr.write(`assumed: ${assumption}\n`);
}

const NOISE_IMAGES = 4;

async function write(
  { specification, description, weights }: ReturnType<typeof importCheckpoint>,
  { name, models, labels, shortSide, threads }: ImportFlags,
): Promise<Manifest> {
  const network = buildNetwork(specification);
  const { input, classes } = network;
  const noise = noiseImages(NOISE_IMAGES, input, 1);
  return createModel(modelFolder(models, name), {
    ...specification,
    description: `${description}, imported`,
    weights,
    labels: await readLabels(labels, classes),
    preprocessing: preprocessing(input, shortSide),
    training: null,
    progress: byteProgress(process.stderr, 'weights'),
    measure: async (folder) => {
      const batches = { encode: NOISE_IMAGES, decode: 1 };
      const measured = await measureFolder(folder, noise, { data: 'noise', labelled: false, batches, threads });
      checkRoundTrip(measured, network.grid !== null);
      if (network.grid !== null) {
        const weights = await readWeights(networkParameters(network), join(folder, WEIGHTS_FILE));
        requireHeadroom(await checkHeadroom(network, weights, noise, threads));
      }
      return measured;
    },
  });
}

/** Refuses a grid on which the round trip is not exact. Without a grid, a round trip that fails on noise is warned about. */
function checkRoundTrip(measured: Measured, exact: boolean): void {
  if (!measured?.inversion) return;
  const { outcome, detail } = judge(measured.inversion, measured.images, exact);
  if (outcome === 'ok') return;
  const what = `Φ⁻¹ does not give noise back: ${detail}`;
  if (exact) throw new Error(`${what}. Its streams are too large for this grid; try a smaller --grid`);
  process.stderr.write(`warning: ${what}\n`);
}

/** As evaluation code usually does: a short side of 256 for an input of 224, and in proportion; small images as they are. */
function preprocessing(
  { height, width }: { height: number; width: number },
  given?: number,
): Manifest['preprocessing'] {
  const shortest = Math.min(height, width);
  const shortSide = given ?? (shortest >= 64 ? Math.round((shortest * 256) / 224) : undefined);
  return { fit: 'cover', polarity: 'any', ...(shortSide && { shortSide }) };
}

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { noiseImages } from '../../export/data/noise.js';
import { inMemory } from '../../export/data/source.js';
import { describe } from '../../export/import/describe.js';
import { type Given, type Imported, importCheckpoint, importers, openCheckpoint } from '../../export/import/index.js';
import { overflowing } from '../../export/import/overflow.js';
import { createModel } from '../../export/model/create.js';
import { networkParameters } from '../../export/model/graphs.js';
import type { Manifest, Measured } from '../../export/model/manifest.js';
import { measureFolder, NotFiniteError } from '../../export/model/measure.js';
import { checkHeadroom, judge } from '../../export/model/validate.js';
import { readWeights, WEIGHTS_FILE } from '../../export/model/weights.js';
import { buildNetwork, type Network } from '../../export/networks/index.js';
import { readSpecification } from '../../export/networks/read.js';
import { requireHeadroom } from './headroom.js';
import { cleanUpOnSignals } from './interrupt.js';
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
  force?: boolean;
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
  .option('--force', 'replace a model of the same name', false)
  .addHelpText('after', `\nUnderstood: ${importers.map(({ description }) => description).join('; ')}.`)
  .action(async (file: string, flags: Flags) => {
    const interrupted = cleanUpOnSignals();
    const manifest = await importModel(file, flags).finally(interrupted.end);
    process.stdout.write(flags.json ? `${JSON.stringify(manifest)}\n` : `${modelFolder(flags.models, flags.name)}\n`);
  });

/**
 * Writes the model folder of a checkpoint. What was inferred is printed to standard error. Flags are checked before
 * anything is read or written, and of an import that fails nothing is left.
 * @throws CheckpointFileError, ConfigError; Error when labels, name or grid do not fit, or the weights overflow
 */
export async function importModel(file: string, flags: ImportFlags): Promise<Manifest> {
  const folder = modelFolder(flags.models, flags.name);
  checkFlags(flags);
  checkPlace(folder, flags.force);
  const checkpoint = await openCheckpoint(file);
  try {
    const named = flags.config === undefined ? undefined : await readSpecification(flags.config);
    const imported = await importCheckpoint(checkpoint, givenBy(flags), named);
    show(imported);
    return await write(folder, imported, flags);
  } finally {
    await checkpoint.close();
  }
}

/** Above any published network; the features of one image would take gigabytes. */
const LARGEST_INPUT = 4096;

/** @throws Error naming the flag that cannot be */
function checkFlags({ input }: ImportFlags): void {
  if (input?.some((side) => side > LARGEST_INPUT))
    throw new Error(`--input must be at most ${LARGEST_INPUT} pixels a side, got ${input.join('x')}`);
}

/** @throws Error where a model is and is not to be replaced, or where something else is */
function checkPlace(folder: string, force = false): void {
  if (!existsSync(folder)) return;
  if (!existsSync(join(folder, 'manifest.json')))
    throw new Error(`${folder} is there and is no model; give another --name, or remove it`);
  if (!force) throw new Error(`${folder} is there already; --force replaces it, or give another --name`);
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
function show({ specification, assumptions }: Imported): void {
  process.stderr.write(`${describe(specification)}\n`);
  for (const assumption of assumptions) process.stderr.write(`assumed: ${assumption}\n`);
}

const NOISE_IMAGES = 4;

async function write(
  folder: string,
  { specification, description, weights, nameOf }: Imported,
  { labels, shortSide, threads }: ImportFlags,
): Promise<Manifest> {
  const network = buildNetwork(specification);
  const { input, classes } = network;
  const noise = noiseImages(NOISE_IMAGES, input, 1);
  return createModel(folder, {
    ...specification,
    description: `${description}, imported`,
    weights,
    labels: await readLabels(labels, classes),
    preprocessing: preprocessing(input, shortSide),
    training: null,
    progress: byteProgress(process.stderr, 'weights'),
    measure: async (fresh) => {
      const stored = () => readWeights(networkParameters(network), join(fresh, WEIGHTS_FILE));
      const batches = { encode: NOISE_IMAGES, decode: 1 };
      const measured = await measureFolder(fresh, inMemory(noise), {
        data: 'noise',
        labelled: false,
        batches,
        threads,
      }).catch(async (error: Error) => {
        if (!(error instanceof NotFiniteError)) throw error;
        const { parameter, factor } = await overflowing(network, await stored(), noise);
        throw new Error(
          `${error.message}. It comes from ${nameOf(parameter)}, by a factor of ${factor.toPrecision(3)}`,
        );
      });
      checkRoundTrip(measured, network);
      if (network.grid !== null)
        requireHeadroom(await checkHeadroom(network, await stored(), inMemory(noise), threads));
      return measured;
    },
  });
}

/** Refuses a grid on which the round trip is not exact. Without a grid, a round trip that fails on noise is warned about. */
function checkRoundTrip(measured: Measured, { grid, input }: Network): void {
  if (!measured?.inversion) return;
  const { outcome, detail } = judge(measured.inversion, measured.images, grid !== null);
  if (outcome === 'ok') return;
  const what = `Φ⁻¹ does not give noise back: ${detail}`;
  if (grid === null) {
    process.stderr.write(`warning: ${what}\n`);
    return;
  }
  const finest = coarsestGrid(input.std);
  const advice =
    grid < finest
      ? `This grid is coarser than the steps of a pixel; try --grid ${finest} or more`
      : `Its streams are too large for this grid; try a smaller --grid, not below ${finest}`;
  throw new Error(`${what}. ${advice}`);
}

/** The smallest k whose grid tells neighbouring pixel values apart: 2^-k below 1 / (255 std). */
const coarsestGrid = (std: readonly number[]): number => Math.floor(Math.log2(255 * Math.max(...std))) + 1;

/**
 * As evaluation code usually does: a short side of 256 for an input of 224, and in proportion; small images as they are.
 * @throws Error when the scaled short side does not hold the input
 */
function preprocessing(
  { height, width }: { height: number; width: number },
  given?: number,
): Manifest['preprocessing'] {
  const [shortest, longest] = [Math.min(height, width), Math.max(height, width)];
  if (given !== undefined && given < longest)
    throw new Error(`--short-side must be at least ${longest}, the longer side of the input, got ${given}`);
  const shortSide = given ?? (shortest >= 64 ? Math.max(longest, Math.round((shortest * 256) / 224)) : undefined);
  return { fit: 'cover', polarity: 'any', ...(shortSide && { shortSide }) };
}

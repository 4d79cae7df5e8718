import { join, resolve } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { type Provider, providers } from '../protocols/triton/config.js';
import { writeRepository } from '../protocols/triton/repository.js';
import { modelFolder } from './models-folder.js';
import { between, whole } from './numbers.js';

/** Flags of `irevnet export --triton`. */
export interface TritonFlags {
  triton?: string;
  models?: string;
  executionProvider?: Provider;
  batches?: number[];
  maxDelay?: number;
  gpuMemory?: number;
  json: boolean;
}

const BATCHES = [1, 8, 64];
const MEBIBYTE = 2 ** 20;

/** "1,8,64", in any order. */
function batches(text: string): number[] {
  const sizes = text.split(',').map((part) => whole(1)(part.trim()));
  if (sizes.some((size) => size > 4096)) throw new InvalidArgumentError('expected sizes of at most 4096.');
  return [...new Set(sizes)].sort((a, b) => a - b);
}

const heading = 'With --triton:';

/** They have no default values, so that one given without --triton is noticed. */
export const tritonOptions: readonly Option[] = [
  new Option('--execution-provider <provider>', 'what Triton computes on (default: cuda)').choices(providers),
  new Option(
    '--batches <sizes>',
    `sizes of batch that are preferred and warmed up; the largest is the limit (default: ${BATCHES})`,
  ).argParser(batches),
  new Option('--max-delay <ms>', 'milliseconds that images wait for others to fill a batch (default: 0)').argParser(
    between(0, 10_000),
  ),
  new Option(
    '--gpu-memory <MiB>',
    'most that the memory arena of each graph takes of a GPU (default: all there is)',
  ).argParser(whole(1)),
].map((option) => option.helpGroup(heading));

/** Writes a Triton model repository of a model in the models folder. @throws ModelError; Error when a name is taken */
export async function exportToTriton(model: string, folder: string, flags: TritonFlags): Promise<void> {
  const repository = resolve(folder);
  const names = await writeRepository(modelFolder(flags.models, model), repository, {
    provider: flags.executionProvider ?? 'cuda',
    batches: flags.batches ?? BATCHES,
    maxDelay: flags.maxDelay ?? 0,
    gpuMemory: flags.gpuMemory === undefined ? undefined : flags.gpuMemory * MEBIBYTE,
  });
  const lines = names.map((name) => `${join(repository, name)}\n`).join('');
  process.stdout.write(flags.json ? `${JSON.stringify({ repository, models: names })}\n` : lines);
}

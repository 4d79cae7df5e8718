import { readFile } from 'node:fs/promises';
import { writeAtomically } from '../files/write.js';
import { FormatError } from '../formats/errors.js';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.js';
import type { NamedTensors, Tensor } from '../graph/tensor.js';

/** Everything that training needs to go on: by name, in the layout of the network's definition. */
export interface Checkpoint {
  /** Steps that are done. */
  readonly step: number;
  readonly parameters: NamedTensors;
  readonly momentum: NamedTensors;
  readonly statistics: NamedTensors;
  /** What the run was started with; resuming with anything else would not continue it. */
  readonly recipe: unknown;
}

export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

const FORMAT = '1';
const parts = ['parameters', 'momentum', 'statistics'] as const;

/** Writes a checkpoint as safetensors, atomically. */
export async function saveCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const tensors = new Map<string, Tensor>();
  for (const part of parts) {
    for (const [name, t] of checkpoint[part]) tensors.set(`${part}/${name}`, t);
  }
  const { step, recipe } = checkpoint;
  const metadata = { format: FORMAT, step: String(step), recipe: JSON.stringify(recipe) };
  await writeAtomically(path, writeSafetensors({ tensors, metadata }));
}

/**
 * Reads a checkpoint.
 * @returns undefined when there is none
 * @throws CheckpointError when the file is damaged or of another version
 */
export async function loadCheckpoint(path: string): Promise<Checkpoint | undefined> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (bytes === undefined) return undefined;
  try {
    const { tensors, metadata } = readSafetensors(bytes);
    if (metadata.format !== FORMAT)
      throw new CheckpointError(`${path} is of version ${metadata.format}, expected ${FORMAT}`);
    const part = (prefix: string): NamedTensors =>
      new Map(
        [...tensors].flatMap(([name, t]) =>
          name.startsWith(`${prefix}/`) ? [[name.slice(prefix.length + 1), t]] : [],
        ),
      );
    return {
      step: Number(metadata.step),
      recipe: JSON.parse(metadata.recipe ?? 'null'),
      parameters: part('parameters'),
      momentum: part('momentum'),
      statistics: part('statistics'),
    };
  } catch (error) {
    if (error instanceof FormatError || error instanceof SyntaxError) {
      throw new CheckpointError(`${path} is damaged: ${error.message}. Remove it to start again`);
    }
    throw error;
  }
}

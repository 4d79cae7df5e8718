import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { type Command, Option } from 'commander';
import { writeAtomically } from '../../export/files/write.js';
import type { TaskName } from '../jobs/plan.js';
import { type Format, isBytes, type Written } from '../operations/formats.js';

/** The name that stands for standard input or output. */
const STANDARD = '-';

/**
 * Reads files, one after the other, or standard input.
 * @param task of `irevnet batch` that does the same for a folder
 * @throws Error naming the file and why it cannot be read
 */
export async function readInputs(paths: readonly string[], task?: TaskName): Promise<Uint8Array[]> {
  if (paths.filter((path) => path === STANDARD).length > 1) {
    throw new Error(`${STANDARD} stands for the standard input, which can be read only once; name files instead`);
  }
  const files: Uint8Array[] = [];
  for (const path of paths) files.push(await readInput(path, task));
  return files;
}

/** Reads a file, or standard input. As `readInputs` */
export async function readInput(path: string, task?: TaskName): Promise<Uint8Array> {
  if (path === STANDARD) return buffer(process.stdin);
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EISDIR') throw new Error(`${path} cannot be read (${code})`);
    const advice = task && `; for all files in it: irevnet batch ${task} --input ${path} --output <another folder>`;
    throw new Error(`${path} is a folder, expected a file${advice ?? ''}`);
  }
}

export interface OutputFlags<F extends Format> {
  output?: string;
  format?: F;
}

/** The flags that say where a result goes, and how it is written. */
export function addOutputOptions(command: Command, formats: readonly Format[]): Command {
  return command
    .option('-o, --output <file>', 'where the result goes; - is standard output', STANDARD)
    .addOption(
      new Option('-f, --format <format>', "how it is written (default: by the file's ending)").choices(formats),
    );
}

/**
 * The format that is asked for, or that the output's ending names; undefined on standard output.
 * @throws Error when the ending names none
 */
export function formatOf<F extends Format>(
  formats: readonly F[],
  { format, output = STANDARD }: OutputFlags<F>,
): F | undefined {
  if (format !== undefined || output === STANDARD) return format;
  const named = formats.find((f) => output.toLowerCase().endsWith(`.${f}`));
  if (named) return named;
  throw new Error(`${output} ends in none of ${formats.map((f) => `.${f}`).join(', ')}; name it so, or add --format`);
}

/** Writes a result: a file appears whole or not at all; bytes are not written to a terminal. */
export async function writeOutput(output: string, written: Written): Promise<void> {
  const chunks = isBytes(written) ? written : [Buffer.from(`${JSON.stringify(written)}\n`)];
  if (output !== STANDARD) return writeAtomically(output, chunks);
  if (isBytes(written) && process.stdout.isTTY) {
    throw new Error('this would write bytes to the terminal; name a file with --output');
  }
  for (const chunk of chunks) process.stdout.write(chunk);
}

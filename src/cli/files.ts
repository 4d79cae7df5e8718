import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { type Command, Option } from 'commander';
import { writeAtomically } from '../../export/files/write.js';
import { type Format, isBytes, type Written } from '../operations/formats.js';

/** The name that stands for standard input or output. */
const STANDARD = '-';

/** Reads a file, or standard input. @throws Error naming the file and why it cannot be read */
export async function readInput(path: string): Promise<Uint8Array> {
  if (path === STANDARD) return buffer(process.stdin);
  try {
    return await readFile(path);
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
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
  const named = formats.find((f) => output.endsWith(`.${f}`));
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

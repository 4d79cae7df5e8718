import type { Problem } from '../common/problems.js';
import type { Score } from '../http/schemas/classified.js';
import type { Done } from '../images/picture.js';
import { fileFault } from './files.js';

/** Why there is no result. */
export interface Bad {
  /** The code of a Problem, or file-unreadable. */
  readonly error: string;
  readonly detail: string;
}

/** What is told of a result. */
export interface Facts {
  /** What was done to the picture before the network took it. */
  readonly done?: readonly Done[];
  /** classify: the most probable labels, best first. */
  readonly top?: readonly Score[];
}

/** What became of an input. */
export type Outcome = Bad | Facts;
export const isBad = (outcome: object): outcome is Bad => 'error' in outcome;

/** A line of an index: one an input, in their order. */
export type Entry = { readonly id: string; readonly path?: string } & (
  | Bad
  // Its row in the array beside the index, or its file.
  | ({ readonly row: number } & Facts)
  | ({ readonly file: string } & Facts)
);

/** What is wrong with an input; undefined for an error that is not the input's fault. */
export function badOf(error: unknown): Bad | undefined {
  const fault = fileFault(error);
  if (fault) return { error: 'file-unreadable', detail: `the file cannot be read (${fault})` };
  if ((error as Error).name === 'Problem') return { error: (error as Problem).code, detail: (error as Error).message };
  return undefined;
}

export const toLines = (entries: readonly Entry[]): Uint8Array =>
  Buffer.from(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));

/** @throws SyntaxError */
export const fromLines = (text: string): Entry[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Entry);

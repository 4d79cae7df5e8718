import { problemFrom } from '../common/problems.js';
import type { Done } from '../images/picture.js';
import type { Score } from '../operations/classify.js';
import { fileFault } from './files.js';

/** Why an input has no result. */
export interface Bad {
  /** The code of a Problem, or file-unreadable. */
  readonly error: string;
  readonly detail: string;
}

/** Information about a result, beside its data. */
export interface Facts {
  /** The steps that prepared the image for the network. */
  readonly done?: readonly Done[];
  /** classify: the most probable labels, best first. */
  readonly top?: readonly Score[];
}

export type Outcome = Bad | Facts;
export const isBad = (outcome: object): outcome is Bad => 'error' in outcome;

/** A line of an index. An index has one for each input, in the order of the inputs. */
export type Entry = { readonly id: string; readonly path?: string } & (
  | Bad
  // The row in the array beside the index, or the file of the image.
  | ({ readonly row: number } & Facts)
  | ({ readonly file: string } & Facts)
);

/** Describes the fault of an input; undefined when the error has another cause, such as the disk. */
export function badOf(error: unknown): Bad | undefined {
  const fault = fileFault(error);
  if (fault) return { error: 'file-unreadable', detail: `the file cannot be read (${fault})` };
  const problem = problemFrom(error);
  return problem && { error: problem.code, detail: problem.message };
}

export const toLines = (entries: readonly Entry[]): Uint8Array =>
  Buffer.from(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));

/** @throws SyntaxError */
export const fromLines = (text: string): Entry[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Entry);

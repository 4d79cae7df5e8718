import type { Preprocessing } from '../networks/preprocessing.js';
import type { Images } from './images.js';

export type Part = 'train' | 'test';

/** Labelled images, and what a model that is trained on them has to know. A data set knows no network. */
export interface Dataset {
  /** Names of the classes, in the order of their numbers. */
  readonly labels: readonly string[];
  /** How an uploaded picture is made to look like the images of this data set. */
  readonly preprocessing: Preprocessing;
  /** Where the data set lies when no folder is named. */
  readonly folder: string;
  /** Reads a part from a folder. @throws DatasetError naming the file that is missing or damaged */
  load(folder: string, part: Part): Promise<Images>;
}

/** A data set that cannot be used; the message says what was wrong, what was expected and what to do. */
export class DatasetError extends Error {
  override readonly name = 'DatasetError';
}

import type { Content, Part } from '../dataset.js';
import type { Files } from '../files/files.js';

export interface FormatOptions {
  /** Columns of a table that hold images and labels; default: those of usual names. */
  readonly columns?: readonly [image: string, label: string] | undefined;
}

/** What a format finds. */
export interface Found {
  /** Names of the classes, in the order of their numbers. */
  readonly labels: readonly string[];
  /** Whether they are names of the data, and not mere numbers. */
  readonly named: boolean;
  /** 'all' where the data do not say which images are test images. */
  readonly parts: Readonly<Partial<Record<Part, () => Promise<Content>>>>;
  readonly notes?: readonly string[];
}

/** A layout in which data sets are published. A new one is a file, and a line in index.ts. */
export interface Format {
  /** What it is, in words. */
  readonly title: string;
  /** What belongs to it, for those whose data are not recognised. */
  readonly expects: string;
  /** Whether the names of the files are those of this layout. */
  recognises(files: Files): boolean;
  /** @throws DatasetError when something is missing or damaged */
  open(files: Files, options: FormatOptions): Promise<Found>;
}

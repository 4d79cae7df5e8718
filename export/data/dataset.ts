import type { Preprocessing } from '../networks/preprocessing.js';
import type { ImageFile } from './files/files.js';
import { type Images, select } from './images.js';

/** Part of a data set. Training reads 'train' alone; 'all' is both. */
export type Part = 'train' | 'test' | 'all';

/** Labelled images as a data set has them: pixels of one size, or image files of any. */
export type Content =
  | { readonly kind: 'pixels'; readonly images: Images; readonly labels: Uint16Array }
  | { readonly kind: 'files'; readonly files: readonly ImageFile[]; readonly labels: Uint16Array };

/** An opened data set. It knows no network. */
export interface Dataset {
  readonly name: string;
  /** The folder, archive or file. */
  readonly path: string;
  /** A key of the table of formats, and what it is in words. */
  readonly format: string;
  readonly title: string;
  /** Names of the classes, in the order of their numbers. */
  readonly labels: readonly string[];
  /** What the data call the classes, such as the names of folders. */
  readonly keys: readonly string[];
  /** How an uploaded picture is made to look like the images of this data set; undefined: as the network has it. */
  readonly preprocessing: Preprocessing | undefined;
  /** Whether the data say which images are test images; else a seeded tenth is set aside. */
  readonly split: boolean;
  /** The parts that `load` gives. */
  readonly parts: readonly Part[];
  /** What was assumed or left out, in sentences. */
  readonly notes: readonly string[];
  /** Reads the labels and the pixels, or the places of the files. @throws DatasetError when it is missing or damaged */
  load(part: Part): Promise<Content>;
  close(): Promise<void>;
}

/** A data set that cannot be used; the message says what was wrong, what was expected and what to do. */
export class DatasetError extends Error {
  override readonly name = 'DatasetError';
}

/** The images with the given numbers, in that order. */
export function selectContent(content: Content, numbers: ArrayLike<number>): Content {
  if (content.kind === 'pixels') {
    const images = select(content.images, numbers);
    return { kind: 'pixels', images, labels: images.labels };
  }
  const order = Array.from(numbers);
  return {
    kind: 'files',
    files: order.map((n) => content.files[n]!),
    labels: Uint16Array.from(order, (n) => content.labels[n]!),
  };
}

/** The same images, each label replaced by the number at its place. */
export function relabelled(content: Content, numbers: readonly number[]): Content {
  const labels = content.labels.map((label) => numbers[label]!);
  return content.kind === 'pixels'
    ? { ...content, labels, images: { ...content.images, labels } }
    : { ...content, labels };
}

import { type Images, slice } from '../../export/data/images.js';
import type { Context } from './context.js';
import { AnalysisError } from './errors.js';

/** Images that an experiment looks at. */
export interface Chosen {
  readonly images: Images;
  /** What each shows: the class of a test image, the name of a user's picture. */
  readonly names: readonly string[];
  /** Whether the images have labels. */
  readonly labelled: boolean;
}

/**
 * The first pictures of the user, or the first test images where there are none.
 * @throws AnalysisError where there are neither, or fewer than `least`
 */
export function chosenImages({ pictures, data }: Context, count: number, least = 1): Chosen {
  if (pictures === undefined && data === undefined)
    throw new AnalysisError('data-missing', 'there are no images to look at; name a data set with --data, or pictures');
  const all = pictures?.images ?? data!.test;
  if (all.count < least)
    throw new AnalysisError('too-few-images', `there are ${all.count} images; expected at least ${least}`);
  const images = slice(all, 0, Math.min(count, all.count));
  const name = (n: number) => pictures?.names[n] ?? data?.classes?.[images.labels[n]!] ?? `image ${n + 1}`;
  const names = Array.from({ length: images.count }, (_, n) => name(n));
  return { images, names, labelled: pictures === undefined && data?.classes !== undefined };
}

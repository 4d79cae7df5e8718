import { type Dataset, DatasetError } from './dataset.js';

/** The class of a model that each class of the data is, by number, and how that was found. */
export interface Matching {
  readonly numbers: readonly number[];
  readonly how: 'name' | 'order';
}

/**
 * Matches the classes of data with those of a model: by name, whatever their order, else by their order, where there are as many.
 * @throws DatasetError when there are more classes than the model has, or fewer and not all names are the model's
 */
export function matchClasses(
  { path, labels, keys }: Pick<Dataset, 'path' | 'labels' | 'keys'>,
  model: readonly string[],
): Matching {
  const order = labels.map((_, i) => i);
  if (labels.length === model.length && labels.every((label, i) => plain(label) === plain(model[i]!)))
    return { numbers: order, how: 'name' };
  for (const names of [labels, keys]) {
    const numbers = names.map((name) => uniqueIndex(name, model));
    if (numbers.every((n) => n >= 0) && new Set(numbers).size === numbers.length) return { numbers, how: 'name' };
  }
  if (labels.length === model.length) return { numbers: order, how: 'order' };
  const strangers = labels.filter((label) => uniqueIndex(label, model) < 0);
  throw new DatasetError(
    `${path} has ${labels.length} classes, the model ${model.length} (${model.slice(0, 3).join(', ')}, …); expected as many, or names that the model has. ` +
      `It does not have: ${strangers.slice(0, 3).join(', ')}. Name the classes of the data with --labels`,
  );
}

const plain = (name: string): string => name.trim().toLowerCase();

/** The only class of this name, or −1. */
function uniqueIndex(name: string, names: readonly string[]): number {
  const first = names.findIndex((other) => plain(other) === plain(name));
  return names.some((other, i) => i > first && plain(other) === plain(name)) ? -1 : first;
}

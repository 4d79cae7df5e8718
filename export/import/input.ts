import type { InputConfig } from '../networks/input.js';
import type { Given } from './importer.js';

/** Mean and standard deviation by which usual training code normalises pixels, by data set. */
const statistics = {
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  cifar: { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] },
  grey: { mean: [0.5], std: [0.5] },
} as const;

const IMAGENET = { size: 224, classes: 1000 };
const CIFAR_SIZE = 32;

/** The most likely input size of a network with so many classes, rounded up to a multiple of `factor`. */
function likelySize(classes: number, factor: number): number {
  const size = classes >= IMAGENET.classes || factor >= 16 ? IMAGENET.size : CIFAR_SIZE;
  return Math.ceil(size / factor) * factor;
}

/**
 * The input of a network. Weights determine only its channels; the rest is given by the user, or assumed and reported.
 * @param factor ratio of the height of the input to that of the features
 * @param known the size, if the file holds it
 */
export function inputOf(
  channels: 1 | 3,
  classes: number,
  factor: number,
  given: Given,
  known?: number,
): { input: InputConfig; assumptions: string[] } {
  const guess = likelySize(classes, factor);
  const [height, width] = given.input ?? [known ?? guess, known ?? guess];
  const source = channels === 1 ? 'grey' : height <= 2 * CIFAR_SIZE ? 'cifar' : 'imagenet';
  const { mean, std } = statistics[source];
  const each = (values: readonly number[]) =>
    values.length === 1 && channels > 1 ? Array<number>(channels).fill(values[0]!) : [...values];
  const input = {
    height,
    width,
    channels,
    padding: 0,
    mean: each(given.mean ?? mean),
    std: each(given.std ?? std),
  };
  const assumptions = [
    ...(given.input || known ? [] : [`input of ${height} × ${width}; --input says otherwise`]),
    ...(given.mean && given.std
      ? []
      : [
          `pixels normalised by mean ${input.mean.join(', ')} and std ${input.std.join(', ')}; --mean and --std say otherwise`,
        ]),
  ];
  return { input, assumptions };
}

import { type Static, Type } from 'typebox';
import type { Tensor } from '../../export/graph/tensor.js';
import type { Context } from './context.js';
import { nearest } from './methods/nearest.js';
import { scalingOf, standardised } from './methods/standardise.js';
import { fitLinearSvm } from './methods/svm.js';
import { Interval, shareOf } from './statistics.js';

/** Features of some images, float32 [n, d], with their labels. */
export interface Labelled {
  readonly rows: Tensor<'float32'>;
  readonly labels: Uint16Array;
}

/** The share of test images that a classifier gets right. */
export const Accuracy = Type.Object({
  accuracy: Type.Number({ description: 'share of the test images that are classified correctly, 0 to 1' }),
  interval: Interval,
});
type Accuracy = Static<typeof Accuracy>;

/** What the two classifiers reach on the same features. */
export const Classified = Type.Object({
  svm: Type.Object(
    { ...Accuracy.properties, c: Type.Number({ description: 'C, chosen by cross-validation' }) },
    { description: 'linear SVM: one class against the rest, squared hinge, L2' },
  ),
  nearestNeighbour: Type.Object(Accuracy.properties, {
    description: 'the label of the nearest training image, by Euclidean distance',
  }),
});
export type Classified = Static<typeof Classified>;

/** How the intervals of results are made. */
export const intervals = "Wilson's score interval, 95%";

/** Trains both classifiers on standardised features of training images, and tries them on test images. */
export async function bothClassifiers(context: Context, train: Labelled, test: Labelled): Promise<Classified> {
  const [learned, tried] = standardisedBoth(train, test);
  return {
    svm: await trySvm(context, learned, tried),
    nearestNeighbour: await tryNearest(context, learned, tried),
  };
}

/** Both parts scaled by the means and deviations of the training part. */
export function standardisedBoth(train: Labelled, test: Labelled): [Labelled, Labelled] {
  const scaling = scalingOf(train.rows);
  const scaled = (part: Labelled) => ({ ...part, rows: standardised(part.rows, scaling) });
  return [scaled(train), scaled(test)];
}

export async function trySvm(context: Context, train: Labelled, test: Labelled): Promise<Classified['svm']> {
  const svm = await fitLinearSvm(context, train.rows, train.labels);
  return { ...accuracyOf(await svm.classify(test.rows), test.labels), c: svm.c };
}

export async function tryNearest(context: Context, train: Labelled, test: Labelled): Promise<Accuracy> {
  const { places } = await nearest(context, train.rows, test.rows, 1);
  return accuracyOf(
    Uint16Array.from(places, (place) => train.labels[place]!),
    test.labels,
  );
}

/** How many of the labels were found. */
export function accuracyOf(found: Uint16Array, labels: Uint16Array): Accuracy {
  const correct = found.reduce((count, label, i) => count + Number(label === labels[i]), 0);
  const { share, interval } = shareOf(correct, labels.length);
  return { accuracy: share, interval };
}

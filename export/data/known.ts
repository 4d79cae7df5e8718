import type { Preprocessing } from '../networks/preprocessing.js';
import { CIFAR_10 } from './formats/planar.js';

/** What is known of a data set by its name. */
export interface Known {
  /** Names of the classes, in the order of their numbers. */
  readonly labels: readonly string[];
  /** How an uploaded picture is made to look like the images of this data set. */
  readonly preprocessing: Preprocessing;
  /** Where the data set lies when no folder is named. */
  readonly folder?: string;
  /** Where it comes from, for those who do not have it. */
  readonly source: string;
}

/** Data sets that have a name. A new one is an entry here; its layout is one of formats/. */
export const knownDatasets: Readonly<Record<string, Known>> = {
  /** 60,000 training and 10,000 test images of clothes, grey, 28 × 28. Xiao, Rasul, Vollgraf 2017. */
  'fashion-mnist': {
    labels: ['T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'],
    preprocessing: { fit: 'contain', polarity: 'light-on-dark' },
    folder: '/usr/share/datasets/fashion-mnist',
    source: 'On Debian: apt-get install dataset-fashion-mnist',
  },
  /** 50,000 training and 10,000 test images of things and animals, in colour, 32 × 32. Krizhevsky 2009. */
  'cifar-10': {
    labels: CIFAR_10,
    preprocessing: { fit: 'cover', polarity: 'any' },
    source: 'https://www.cs.toronto.edu/~kriz/cifar.html publishes it',
  },
};

import { join } from 'node:path';
import { datasets, type Images } from '../../export/data/datasets.js';
import { packagePath } from '../../export/files/package.js';
import type { ArchitectureName } from '../../export/networks/index.js';
import type { IRevNetConfig } from '../../export/networks/irevnet.js';

/** Files that tests read; they stay in the source tree when the tests are compiled. */
export const dataPath = (...parts: string[]): string => packagePath('test', 'data', ...parts);

/** The first 600 training and 200 test images of Fashion-MNIST. */
export const someImages = (part: 'train' | 'test'): Promise<Images> =>
  datasets['fashion-mnist']!.load(join(dataPath('fashion-mnist')), part);

/** A bijective network small enough to train in a test: three stages, every kind of convolution lowering. */
export const small: IRevNetConfig = {
  input: { height: 28, width: 28, channels: 1, padding: 2, mean: [0.286], std: [0.353] },
  classes: 10,
  initialPsi: 2,
  blocks: [2, 1, 1, 2],
  strides: [1, 2, 2, 2],
  widths: [2, 8, 32, 128],
  hidden: [16, 16, 16, 16],
  kernels: [3, 3, 3],
  injective: false,
  grid: 12,
};

/** Other shapes of the same family: colour, kernels 1-3-1, stride 2 at once, injective padding, initial ψ of 4. */
export const variants: Readonly<Record<string, IRevNetConfig>> = {
  small,
  'kernels 1-3-1': { ...small, kernels: [1, 3, 1] },
  'colour, initial ψ 4': {
    ...small,
    input: { height: 24, width: 16, channels: 3, padding: 0, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] },
    initialPsi: 4,
    blocks: [1, 2],
    strides: [1, 2],
    widths: [24, 96],
    hidden: [8, 12],
  },
  'injective, no initial ψ': {
    ...small,
    input: { height: 8, width: 8, channels: 3, padding: 0, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] },
    initialPsi: 1,
    injective: true,
    blocks: [2, 1, 1],
    strides: [1, 2, 1],
    widths: [4, 16, 20],
    hidden: [4, 8, 8],
  },
};

/** A few channels and blocks of each architecture, so that all of it runs in a moment. */
export const miniature: Record<ArchitectureName, object> = {
  irevnet: {
    input: { height: 16, width: 16, channels: 3, padding: 0, mean: [0, 0, 0], std: [1, 1, 1] },
    classes: 5,
    initialPsi: 2,
    blocks: [2, 2],
    strides: [1, 2],
    widths: [8, 32],
    hidden: [4, 8],
    kernels: [1, 3, 1],
    injective: true,
    grid: null,
  },
  revnet: {
    input: { height: 32, width: 48, channels: 3, padding: 0, mean: [0, 0, 0], std: [1, 1, 1] },
    classes: 5,
    stem: 8,
    units: [2, 3],
    widths: [16, 24],
  },
  resnet: {
    input: { height: 32, width: 48, channels: 3, padding: 0, mean: [0, 0, 0], std: [1, 1, 1] },
    classes: 5,
    stem: 8,
    blocks: [2, 2],
    hidden: [4, 6],
  },
};

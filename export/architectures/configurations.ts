import type { ArchitectureName } from './index.js';
import type { IRevNetConfig } from './irevnet.js';

export interface Configuration {
  readonly architecture: ArchitectureName;
  readonly description: string;
  readonly config: IRevNetConfig;
}

/** Networks that have a name. Adding one is one entry. */
export const configurations: Readonly<Record<string, Configuration>> = {
  'fashion-mnist': {
    architecture: 'irevnet',
    description: 'bijective i-RevNet for Fashion-MNIST, 13 blocks',
    config: {
      input: { height: 28, width: 28, channels: 1, padding: 2, mean: [0.286], std: [0.353] },
      classes: 10,
      initialPsi: 2,
      blocks: [3, 3, 4, 3],
      strides: [1, 2, 2, 2],
      widths: [2, 8, 32, 128],
      hidden: [32, 64, 128, 256],
      kernels: [3, 3, 3],
      injective: false,
      grid: 12,
    },
  },
};

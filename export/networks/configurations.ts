import type { ArchitectureName } from './index.js';
import type { InputConfig } from './input.js';
import type { IRevNetConfig } from './irevnet.js';
import type { Preprocessing } from './preprocessing.js';
import type { ResNetConfig } from './resnet.js';
import type { RevNetConfig } from './revnet.js';

interface Named<A extends ArchitectureName, C> {
  readonly architecture: A;
  readonly config: C;
  readonly description: string;
  /** Of a model with random weights; a trained model has that of its data set. */
  readonly preprocessing: Preprocessing;
}
export type Configuration =
  | Named<'irevnet', IRevNetConfig>
  | Named<'revnet', RevNetConfig>
  | Named<'resnet', ResNetConfig>;

/** 224 × 224 in colour, with the mean and standard deviation of ImageNet's pixels. */
const imagenet: InputConfig = {
  height: 224,
  width: 224,
  channels: 3,
  padding: 0,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};
/** The evaluation of the paper and of torchvision: short side to 256, crop of the centre. */
const centreCrop = { fit: 'cover', shortSide: 256, polarity: 'any' } as const;

const bijective: IRevNetConfig = {
  input: imagenet,
  classes: 1000,
  initialPsi: 2,
  blocks: [6, 16, 72, 6],
  strides: [2, 2, 2, 2],
  widths: [24, 96, 384, 1536],
  hidden: [6, 24, 96, 384],
  kernels: [1, 3, 1],
  injective: false,
  grid: 12,
};

/** 28 × 28 in grey with a margin of two, and the mean and standard deviation of Fashion-MNIST's pixels. */
const grey: InputConfig = { height: 28, width: 28, channels: 1, padding: 2, mean: [0.286], std: [0.353] };
const clothes = { fit: 'contain', polarity: 'light-on-dark' } as const;

/** 32 × 32 in colour, with the mean and standard deviation of CIFAR-10's pixels in the authors' release. */
const cifar: InputConfig = {
  ...imagenet,
  height: 32,
  width: 32,
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.2023, 0.1994, 0.201],
};

const fashionMnist: IRevNetConfig = {
  input: grey,
  classes: 10,
  initialPsi: 2,
  blocks: [3, 3, 4, 3],
  strides: [1, 2, 2, 2],
  widths: [2, 8, 32, 128],
  hidden: [32, 64, 128, 256],
  kernels: [3, 3, 3],
  injective: false,
  grid: 12,
};

/**
 * The paper's table in small: four networks of 12 residual branches of three convolutions, two, four, four and two on 16²,
 * 8², 4² and 2² pixels. The bijective one, the ResNet and the RevNet have 1.55 million parameters within 2%, the
 * injective one six times as many.
 */
const smallBijective: IRevNetConfig = {
  ...fashionMnist,
  blocks: [2, 4, 4, 2],
  hidden: [32, 64, 128, 192],
  kernels: [1, 3, 1],
};

/** Networks that have a name; the command line, the docs and the tests go through this table. Adding one is one entry. */
export const configurations: Readonly<Record<string, Configuration>> = {
  'fashion-mnist': {
    architecture: 'irevnet',
    description: 'bijective i-RevNet for Fashion-MNIST, 13 blocks',
    preprocessing: clothes,
    config: fashionMnist,
  },
  'fashion-mnist-wide': {
    architecture: 'irevnet',
    description: 'bijective i-RevNet for Fashion-MNIST, 14 blocks, wider at 16² and 8² pixels',
    preprocessing: clothes,
    config: { ...fashionMnist, blocks: [3, 4, 4, 3], hidden: [64, 128, 160, 256] },
  },
  'cifar-10': {
    architecture: 'irevnet',
    description: 'injective i-RevNet for CIFAR-10, 9 blocks, small enough to train on a CPU',
    preprocessing: { fit: 'cover', polarity: 'any' },
    config: {
      ...fashionMnist,
      input: cifar,
      blocks: [3, 3, 3],
      strides: [1, 2, 2],
      widths: [16, 64, 256],
      hidden: [48, 96, 192],
      injective: true,
    },
  },
  'irevnet-small-a': {
    architecture: 'irevnet',
    description: 'i-RevNet (a) for 28 × 28 grey: injective, 12 blocks',
    preprocessing: clothes,
    config: { ...smallBijective, widths: [8, 32, 128, 512], hidden: [64, 128, 256, 528], injective: true },
  },
  'irevnet-small-b': {
    architecture: 'irevnet',
    description: 'i-RevNet (b) for 28 × 28 grey: bijective, 12 blocks',
    preprocessing: clothes,
    config: smallBijective,
  },
  'revnet-small': {
    architecture: 'revnet',
    description: 'RevNet for 28 × 28 grey, 6 units of two branches',
    preprocessing: clothes,
    config: { input: grey, classes: 10, stem: 32, stemStride: 2, units: [1, 2, 2, 1], widths: [64, 128, 288, 592] },
  },
  'resnet-small': {
    architecture: 'resnet',
    description: 'ResNet for 28 × 28 grey, 12 blocks',
    preprocessing: clothes,
    config: {
      input: grey,
      classes: 10,
      stem: 32,
      stemStride: 2,
      blocks: [2, 4, 4, 2],
      hidden: [24, 48, 96, 184],
      widths: [48, 96, 192, 368],
    },
  },
  'irevnet-a': {
    architecture: 'irevnet',
    description: 'i-RevNet (a): injective, 18 blocks, ImageNet',
    preprocessing: centreCrop,
    // The paper prints 181M parameters and no bottleneck width. Half the stream's would give 138M; these multiples of
    // eight, 0.59 of it, give 181M.
    config: {
      ...bijective,
      initialPsi: 4,
      blocks: [4, 4, 6, 4],
      strides: [1, 2, 2, 2],
      widths: [48, 192, 768, 3072],
      hidden: [28, 112, 456, 1816],
      injective: true,
    },
  },
  'irevnet-b': {
    architecture: 'irevnet',
    description: 'i-RevNet (b): bijective, 100 blocks, ImageNet',
    preprocessing: centreCrop,
    config: bijective,
  },
  'irevnet-b-release': {
    architecture: 'irevnet',
    description: 'i-RevNet (b) as the authors released it, with kernels 3-3-3, ImageNet',
    preprocessing: centreCrop,
    config: { ...bijective, kernels: [3, 3, 3] },
  },
  'irevnet-cifar': {
    architecture: 'irevnet',
    description: 'injective i-RevNet of the authors’ release for CIFAR-10, 54 blocks',
    preprocessing: { fit: 'cover', polarity: 'any' },
    config: {
      input: cifar,
      classes: 10,
      initialPsi: 1,
      blocks: [18, 18, 18],
      strides: [1, 2, 2],
      widths: [16, 64, 256],
      hidden: [4, 16, 64],
      kernels: [3, 3, 3],
      injective: true,
      grid: 12,
    },
  },
  'revnet-56': {
    architecture: 'revnet',
    description: 'RevNet-56 of Gomez et al. (2017), ImageNet',
    preprocessing: centreCrop,
    config: {
      input: imagenet,
      classes: 1000,
      stem: 128,
      units: [2, 2, 3, 2],
      widths: [256, 512, 1024, 1664],
    },
  },
  'resnet-50': {
    architecture: 'resnet',
    description: 'ResNet-50, ImageNet',
    preprocessing: centreCrop,
    config: { input: imagenet, classes: 1000, stem: 64, blocks: [3, 4, 6, 3], hidden: [64, 128, 256, 512] },
  },
};

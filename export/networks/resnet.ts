import { type Static, Type } from 'typebox';
import type { Value } from '../graph/graph.js';
import { add, relu } from '../graph/ops/elementwise.js';
import { maxPool } from '../graph/ops/pool.js';
import { checkInput, InputConfig } from './input.js';
import { norm } from './layers/batch-norm.js';
import { type Block, block, once } from './layers/block.js';
import { convolution } from './layers/convolution.js';
import { classifier } from './layers/head.js';
import { pixels } from './layers/pixels.js';
import { ConfigError, type Network } from './network.js';

const count = Type.Integer({ minimum: 1 });
const stages = (description: string) => Type.Array(count, { minItems: 1, description });

/** A residual network of bottlenecks. */
export const ResNetConfig = Type.Object(
  {
    input: InputConfig,
    classes: count,
    stem: count,
    blocks: stages('blocks a stage'),
    hidden: stages('channels inside the bottleneck, by stage; four times as many come out'),
  },
  { additionalProperties: false },
);
export type ResNetConfig = Static<typeof ResNetConfig>;

const EXPANSION = 4;

/** The stem halves height and width twice, every stage but the first once more. */
const reduced = (size: number, stages: number): number => Math.ceil(size / 2 ** (stages + 1));

/** y = ReLU(S x + BN(1×1(ReLU(BN(3×3(ReLU(BN(1×1 x)))))))); S is a projection where shapes change. */
function bottleneck(name: string, from: number, hidden: number, stride: number): Block {
  const to = EXPANSION * hidden;
  const conv1 = convolution(`${name}.conv1`, from, hidden, 1);
  const conv2 = convolution(`${name}.conv2`, hidden, hidden, 3, stride);
  const conv3 = convolution(`${name}.conv3`, hidden, to, 1);
  const [bn1, bn2, bn3] = [norm(`${name}.bn1`, hidden), norm(`${name}.bn2`, hidden), norm(`${name}.bn3`, to)];
  const projection =
    from === to && stride === 1
      ? []
      : [convolution(`${name}.downsample.0`, from, to, 1, stride), norm(`${name}.downsample.1`, to)];
  const residual = once((x: Value) => bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x)))))))));
  const shortcut = (x: Value) => projection.reduce((y, layer) => layer(y), x);
  return block(name, [
    {
      forward: ([x]: Stream) => [relu(add(shortcut(x), residual(x)))],
      residual: ([x]: Stream) => [residual(x)],
      shortcut: ([x]: Stream) => [relu(shortcut(x))],
    },
  ]);
}
type Stream = readonly [Value];

/**
 * ResNet with torchvision's layout and parameter names (stride in the 3×3 convolution). Not invertible: its pooling and
 * its strides throw information away. He et al., CVPR 2016.
 */
export function resnet(config: ResNetConfig): Network {
  const { input, classes, stem, blocks, hidden } = config;
  checkInput(input);
  if (hidden.length !== blocks.length)
    throw new ConfigError(`hidden: ${blocks.length} stages need as many entries, got ${hidden.length}`);
  const conv1 = convolution('conv1', input.channels, stem, 7, 2);
  const bn1 = norm('bn1', stem);
  let from = stem;
  const body = blocks.flatMap((n, stage) =>
    Array.from({ length: n }, (_, i) => {
      const stride = stage > 0 && i === 0 ? 2 : 1;
      const built = bottleneck(`layer${stage + 1}.${i}`, from, hidden[stage]!, stride);
      from = EXPANSION * hidden[stage]!;
      return built;
    }),
  );
  return {
    input,
    classes,
    grid: null,
    features: [
      from,
      reduced(input.height + 2 * input.padding, blocks.length),
      reduced(input.width + 2 * input.padding, blocks.length),
    ],
    pixels: pixels(input, null),
    stem: { forward: (x) => [maxPool(relu(bn1(conv1(x))), { kernel: 3, stride: 2, padding: 1 })] },
    blocks: body,
    merge: { forward: ([x]: Stream) => x, inverse: (x): Stream => [x] },
    classify: classifier('fc', from, classes),
  };
}

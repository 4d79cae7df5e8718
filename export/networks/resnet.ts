import { type Static, Type } from 'typebox';
import type { Value } from '../graph/graph.js';
import { add, relu } from '../graph/ops/elementwise.js';
import { checkInput, InputConfig } from './input.js';
import { norm } from './layers/batch-norm.js';
import { type Block, block, once } from './layers/block.js';
import { convolution } from './layers/convolution.js';
import { classifier } from './layers/head.js';
import { pixels } from './layers/pixels.js';
import { StemStride, stem } from './layers/stem.js';
import { ConfigError, type Network } from './network.js';

const count = Type.Integer({ minimum: 1 });
const stages = (description: string) => Type.Array(count, { minItems: 1, description });

/** A residual network: ResNet, wide ResNet or ResNeXt, of bottlenecks or of basic blocks. */
export const ResNetConfig = Type.Object(
  {
    input: InputConfig,
    classes: count,
    stem: count,
    stemStride: StemStride,
    blocks: stages('blocks a stage'),
    hidden: stages('channels inside a block, by stage'),
    widths: Type.Optional(
      stages('channels that come out of a block, by stage; by default four times as many as inside a bottleneck'),
    ),
    groups: Type.Optional(
      Type.Integer({ minimum: 1, description: 'groups of the 3×3 convolution of a bottleneck; 1 by default' }),
    ),
    basic: Type.Optional(
      Type.Boolean({ description: 'blocks of two 3×3 convolutions; as many channels come out as are inside' }),
    ),
  },
  { additionalProperties: false },
);
export type ResNetConfig = Static<typeof ResNetConfig>;

/** Channels that come out of a bottleneck over those inside, in the ResNets of the paper. */
const EXPANSION = 4;

/** @returns the channels that come out of the blocks, by stage @throws ConfigError where the lists do not fit together */
function widthsOf({ blocks, hidden, widths, groups = 1, basic = false }: ResNetConfig): readonly number[] {
  for (const [name, list] of Object.entries({ hidden, widths })) {
    if (list && list.length !== blocks.length)
      throw new ConfigError(`${name}: ${blocks.length} stages need as many entries, got ${list.length}`);
  }
  const indivisible = hidden.find((channels) => channels % groups !== 0);
  if (indivisible !== undefined)
    throw new ConfigError(`hidden: ${indivisible} is not a multiple of ${groups}, the groups`);
  if (!basic) return widths ?? hidden.map((channels) => EXPANSION * channels);
  if (groups !== 1) throw new ConfigError('groups: basic blocks have none');
  if (widths && `${widths}` !== `${hidden}`)
    throw new ConfigError(`widths: of basic blocks they are ${hidden}, as inside`);
  return hidden;
}

/** Channels of a block, outside and inside. */
interface BlockShape {
  readonly from: number;
  readonly hidden: number;
  readonly to: number;
  readonly stride: number;
  readonly groups: number;
  readonly basic: boolean;
}

/** F x = BN(1×1(ReLU(BN(3×3(ReLU(BN(1×1 x))))))), the 3×3 convolution with the stride and in groups. */
function bottleneck(name: string, { from, hidden, to, stride, groups }: BlockShape): (x: Value) => Value {
  const conv1 = convolution(`${name}.conv1`, from, hidden, 1);
  const conv2 = convolution(`${name}.conv2`, hidden, hidden, 3, stride, groups);
  const conv3 = convolution(`${name}.conv3`, hidden, to, 1);
  const [bn1, bn2, bn3] = [norm(`${name}.bn1`, hidden), norm(`${name}.bn2`, hidden), norm(`${name}.bn3`, to)];
  return (x) => bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x))))))));
}

/** F x = BN(3×3(ReLU(BN(3×3 x)))), the first convolution with the stride. */
function basicBranch(name: string, { from, hidden, to, stride }: BlockShape): (x: Value) => Value {
  const conv1 = convolution(`${name}.conv1`, from, hidden, 3, stride);
  const conv2 = convolution(`${name}.conv2`, hidden, to, 3);
  const [bn1, bn2] = [norm(`${name}.bn1`, hidden), norm(`${name}.bn2`, to)];
  return (x) => bn2(conv2(relu(bn1(conv1(x)))));
}

/** y = ReLU(S x + F x); S is a projection where shapes change. */
function residualBlock(name: string, shape: BlockShape): Block {
  const { from, to, stride, basic } = shape;
  const residual = once((basic ? basicBranch : bottleneck)(name, shape));
  const projection =
    from === to && stride === 1
      ? []
      : [convolution(`${name}.downsample.0`, from, to, 1, stride), norm(`${name}.downsample.1`, to)];
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
 * its strides throw information away. He et al., CVPR 2016; wide: Zagoruyko, Komodakis, BMVC 2016; ResNeXt: Xie et al.,
 * CVPR 2017.
 */
export function resnet(config: ResNetConfig): Network {
  const { input, classes, blocks, hidden, groups = 1, basic = false } = config;
  checkInput(input);
  const widths = widthsOf(config);
  const start = stem({ conv: 'conv1', norm: 'bn1' }, input.channels, config.stem, config.stemStride);
  let from = config.stem;
  const body = blocks.flatMap((n, stage) =>
    Array.from({ length: n }, (_, i) => {
      const stride = stage > 0 && i === 0 ? 2 : 1;
      const to = widths[stage]!;
      const built = residualBlock(`layer${stage + 1}.${i}`, {
        from,
        hidden: hidden[stage]!,
        to,
        stride,
        groups,
        basic,
      });
      from = to;
      return built;
    }),
  );
  // Every stage but the first halves height and width.
  const reduced = (size: number) =>
    Math.ceil((size + 2 * input.padding) / (start.reduction * 2 ** (blocks.length - 1)));
  return {
    input,
    classes,
    grid: null,
    features: [from, reduced(input.height), reduced(input.width)],
    pixels: pixels(input, null),
    stem: { forward: (x) => [start.forward(x)] },
    blocks: body,
    merge: { forward: ([x]: Stream) => x, inverse: (x): Stream => [x] },
    classify: classifier('fc', from, classes),
  };
}

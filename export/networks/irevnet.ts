import { type Static, Type } from 'typebox';
import { checkInput, InputConfig } from './input.js';
import { type Block, block } from './layers/block.js';
import { bottleneck } from './layers/bottleneck.js';
import { coupling } from './layers/coupling.js';
import { head } from './layers/head.js';
import { compose, opposite } from './layers/invertible.js';
import { pixels } from './layers/pixels.js';
import { psi } from './layers/psi.js';
import { halves, injectivePadding } from './layers/split.js';
import { ConfigError, type Network } from './network.js';

const count = Type.Integer({ minimum: 1 });

/** The largest k: sums of grid points above 2^(24 − k) = 16 in magnitude are not exact. */
export const FINEST_GRID = 20;
const stages = (description: string) => Type.Array(count, { minItems: 1, description });

/** Every i-RevNet is one of these. */
export const IRevNetConfig = Type.Object(
  {
    input: InputConfig,
    classes: count,
    initialPsi: Type.Integer({ minimum: 1, description: 'block size of the first ψ; 1: none' }),
    blocks: stages('blocks a stage'),
    strides: Type.Array(Type.Union([Type.Literal(1), Type.Literal(2)]), { description: 'of each stage’s first block' }),
    widths: stages('channels of one stream, by stage'),
    hidden: stages('channels inside the bottleneck, by stage'),
    kernels: Type.Tuple([count, count, count], { description: '[1, 3, 1] in the paper, [3, 3, 3] in the release' }),
    injective: Type.Boolean({ description: 'zero channels may be added where a stage of stride 1 widens' }),
    grid: Type.Union([Type.Integer({ minimum: 1, maximum: FINEST_GRID }), Type.Null()]),
  },
  { additionalProperties: false },
);
export type IRevNetConfig = Static<typeof IRevNetConfig>;

interface BlockPlan {
  readonly stride: number;
  /** Channels of both streams together before the block, and those to add by padding. */
  readonly channels: number;
  readonly padding: number;
  readonly width: number;
  readonly hidden: number;
}

/** Lists every block with the channels that reach it; throws ConfigError where they do not fit together. */
function planBlocks(config: IRevNetConfig): BlockPlan[] {
  const { blocks, strides, widths, hidden, initialPsi, input, injective } = config;
  for (const [name, list] of Object.entries({ strides, widths, hidden })) {
    if (list.length !== blocks.length)
      throw new ConfigError(`${name}: ${blocks.length} stages need as many entries, got ${list.length}`);
  }
  let channels = input.channels * initialPsi ** 2;
  return blocks.flatMap((n, stage) =>
    Array.from({ length: n }, (_, i): BlockPlan => {
      const stride = i === 0 ? strides[stage]! : 1;
      const width = widths[stage]!;
      const padding = 2 * width - channels * stride ** 2;
      const where = `widths: stage ${stage + 1} receives ${channels} channels`;
      if (channels % 2 !== 0 && padding === 0)
        throw new ConfigError(`${where}, which do not split in two halves; use initialPsi 2`);
      if (stride === 2 && padding !== 0) {
        throw new ConfigError(`${where}, so with stride 2 its half-width must be ${2 * channels}, got ${width}`);
      }
      if (padding < 0 || (padding > 0 && !injective)) {
        const remedy = padding > 0 ? ', or more with "injective": true' : '';
        throw new ConfigError(`${where}, so its half-width must be ${channels / 2}${remedy}, got ${width}`);
      }
      const block = { stride, channels, padding, width, hidden: hidden[stage]! };
      channels = 2 * width;
      return block;
    }),
  );
}

/** Height or width of the features; throws ConfigError when ψ does not divide the input. */
function reduced(size: number, { initialPsi, strides, input }: IRevNetConfig, what: string): number {
  const factor = strides.reduce<number>((a, s) => a * s, initialPsi);
  const canvas = size + 2 * input.padding;
  if (canvas % factor !== 0) {
    throw new ConfigError(
      `input.${what}: ${canvas} pixels (padding included) are not a multiple of ${factor}, the product of ψ and the strides`,
    );
  }
  return canvas / factor;
}

/**
 * i-RevNet: pixels → ψ → split → blocks → merge = features → head. Jacobsen, Smeulders, Oyallon, ICLR 2018.
 * @throws ConfigError saying which constraint of the configuration fails
 */
export function irevnet(config: IRevNetConfig): Network {
  const { input, grid, classes } = config;
  checkInput(input);
  const plans = planBlocks(config);
  const height = reduced(input.height, config, 'height');
  const width = reduced(input.width, config, 'width');
  const channels = 2 * plans.at(-1)!.width;
  return {
    input,
    classes,
    grid,
    features: [channels, height, width],
    pixels: pixels(input, grid),
    stem: compose(psi(config.initialPsi), halves(plans[0]!.channels)),
    blocks: plans.map((plan, i) => buildBlock(`block${i + 1}`, plan, config, i === 0)),
    merge: opposite(halves(channels)),
    classify: head('head', channels, classes),
  };
}

function buildBlock(name: string, plan: BlockPlan, config: IRevNetConfig, first: boolean): Block {
  const f = bottleneck(name, {
    in: Math.ceil((plan.channels + plan.padding) / 2),
    hidden: plan.hidden,
    out: plan.width,
    stride: plan.stride,
    kernels: config.kernels,
    first,
  });
  const couple = coupling(f, psi(plan.stride), config.grid);
  return block(name, plan.padding > 0 ? [injectivePadding(plan.padding), couple] : [couple]);
}

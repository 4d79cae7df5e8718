import { type Static, Type } from 'typebox';
import type { Value } from '../graph/graph.js';
import { add } from '../graph/ops/elementwise.js';
import { checkInput, InputConfig } from './input.js';
import { type Block, block, once, type Part } from './layers/block.js';
import { bottleneck } from './layers/bottleneck.js';
import { convolution } from './layers/convolution.js';
import { coupling } from './layers/coupling.js';
import { head } from './layers/head.js';
import { identity, opposite, type Pair } from './layers/invertible.js';
import { pixels } from './layers/pixels.js';
import { halves } from './layers/split.js';
import { StemStride, stem } from './layers/stem.js';
import { ConfigError, type Network } from './network.js';

const count = Type.Integer({ minimum: 1 });
const stages = (description: string) => Type.Array(count, { minItems: 1, description });

/** A RevNet of bottlenecks. */
export const RevNetConfig = Type.Object(
  {
    input: InputConfig,
    classes: count,
    stem: Type.Integer({ minimum: 2, multipleOf: 2, description: 'channels of both streams after the stem' }),
    stemStride: StemStride,
    units: stages('residual units a stage, each of two residual functions F and G'),
    widths: stages('channels of one stream, by stage; a quarter of them inside the bottleneck'),
  },
  { additionalProperties: false },
);
export type RevNetConfig = Static<typeof RevNetConfig>;

/** Channels of a stream over those inside its bottleneck. */
const RATIO = 4;
const kernels = [1, 3, 1] as const;

/** y1 = x1 + F(x2), y2 = x2 + G(y1): two couplings, the streams trading places after each. */
function unit(name: string, width: number): Block {
  const residual = (part: string) =>
    bottleneck(`${name}.${part}`, { in: width, hidden: width / RATIO, out: width, stride: 1, kernels, first: false });
  return block(
    name,
    ['f', 'g'].map((part) => coupling(residual(part), identity, null)),
  );
}

/** y1 = P x1 + F(x2), the streams trading places: a coupling that projects x1, and so has no inverse. */
function projecting(project: (x: Value) => Value, f: (x: Value) => Value): Part {
  const residual = once(f);
  return {
    forward: ([x1, x2]: Pair) => [x2, add(project(x1), residual(x2))],
    residual: ([, x2]: Pair) => [residual(x2)],
    shortcut: ([x1, x2]: Pair) => [x2, project(x1)],
  };
}

/** The first unit of a stage projects both streams to its width: y1 = P₁ x1 + F(x2), y2 = P₂ x2 + G(y1). */
function transition(name: string, from: number, to: number, stride: number): Block {
  const shape = { hidden: to / RATIO, out: to, kernels, first: false };
  const f = bottleneck(`${name}.f`, { ...shape, in: from, stride });
  const g = bottleneck(`${name}.g`, { ...shape, in: to, stride: 1 });
  const project = (i: 1 | 2) => convolution(`${name}.projection${i}`, from, to, 1, stride);
  return block(name, [projecting(project(1), f), projecting(project(2), g)]);
}

/**
 * RevNet: units that can be inverted, between stem and projections that cannot. Gomez, Ren, Urtasun, Grosse, NeurIPS 2017.
 * Stages begin with a projecting unit; all other units have an inverse.
 */
export function revnet(config: RevNetConfig): Network {
  const { input, classes, units, widths } = config;
  checkInput(input);
  if (widths.length !== units.length)
    throw new ConfigError(`widths: ${units.length} stages need as many entries, got ${widths.length}`);
  const indivisible = widths.find((w) => w % RATIO !== 0);
  if (indivisible !== undefined) throw new ConfigError(`widths: ${indivisible} is not a multiple of ${RATIO}`);
  const start = stem({ conv: 'stem.conv', norm: 'stem.norm' }, input.channels, config.stem, config.stemStride);
  const blocks: Block[] = [];
  let from = config.stem / 2;
  for (const [stage, n] of units.entries()) {
    const to = widths[stage]!;
    blocks.push(transition(`stage${stage + 1}.unit1`, from, to, stage === 0 ? 1 : 2));
    for (let i = 2; i <= n; i++) blocks.push(unit(`stage${stage + 1}.unit${i}`, to));
    from = to;
  }
  // Every stage but the first halves height and width.
  const reduced = (size: number) => Math.ceil((size + 2 * input.padding) / (start.reduction * 2 ** (units.length - 1)));
  return {
    input,
    classes,
    grid: null,
    features: [2 * from, reduced(input.height), reduced(input.width)],
    pixels: pixels(input, null),
    stem: { forward: (x) => halves(config.stem).forward(start.forward(x)) },
    blocks,
    merge: opposite(halves(2 * from)),
    classify: head('head', 2 * from, classes),
  };
}

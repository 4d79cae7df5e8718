import { countTrained } from '../model/graphs.js';
import { buildNetwork, type Specification } from '../networks/index.js';
import type { IRevNetConfig } from '../networks/irevnet.js';
import type { ResNetConfig } from '../networks/resnet.js';

/** An imported network in a sentence: its kind, blocks and widths, what it takes and gives, and its size. */
export function describe(specification: Specification): string {
  const network = buildNetwork(specification);
  const { input, features, classes } = network;
  const kind = specification.architecture === 'irevnet' ? irevnet(specification.config) : resnet(specification.config);
  const colour = input.channels === 1 ? 'grey' : 'colour';
  return [
    kind,
    `${colour} images of ${input.height} × ${input.width} → features of ${features[0]} × ${features[1]} × ${features[2]}`,
    `${classes} classes`,
    `${countTrained(network).toLocaleString('en')} parameters`,
    network.grid === null ? 'plain floats' : `on a grid of 2^-${network.grid}`,
  ].join(', ');
}

function irevnet(config: Specification['config']): string {
  const { input, initialPsi, blocks, strides, widths, hidden, kernels } = config as unknown as IRevNetConfig;
  const psi = initialPsi === 1 ? 'no initial ψ' : `initial ψ ${initialPsi}`;
  const [first, last] = [input.channels * initialPsi ** 2, 2 * widths.at(-1)!];
  // ψ keeps the number of values, so that more channels than it makes are padding.
  const bijective = last === first * strides.reduce<number>((product, s) => product * s ** 2, 1);
  return `${bijective ? 'bijective' : 'injective'} i-RevNet, ${psi}, ${count(blocks)} (${list(blocks)}) of strides ${list(strides)}, half-widths ${list(widths)}, bottlenecks ${list(hidden)} and kernels ${kernels.join('-')}`;
}

function resnet(config: Specification['config']): string {
  const { blocks, hidden, widths, groups = 1, basic } = config as unknown as ResNetConfig;
  const inside = basic ? `basic blocks of ${list(hidden)} channels` : `bottlenecks ${list(hidden)}`;
  const outside = `${widths ? `, widths ${list(widths)}` : ''}${groups > 1 ? `, ${groups} groups` : ''}`;
  return `${groups > 1 ? 'ResNeXt' : 'ResNet'}, not invertible, ${count(blocks)} (${list(blocks)}): ${inside}${outside}`;
}

const count = (blocks: readonly number[]): string => {
  const sum = blocks.reduce((a, b) => a + b, 0);
  return sum === 1 ? '1 block' : `${sum} blocks`;
};
const list = (values: readonly number[]): string => values.join(', ');

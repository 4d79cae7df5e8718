import { seeded } from '../../export/data/random.js';
import type { Tensor } from '../../export/graph/tensor.js';
import type { Checkpoint } from '../../export/import/index.js';
import { networkParameters } from '../../export/model/graphs.js';
import { type IRevNetConfig, irevnet } from '../../export/networks/irevnet.js';
import { randomParameters } from './graph.js';

/** The names that the release gives to our parameters, with a dropout layer or without. */
export function releasedName(parameter: string, dropout: boolean): string {
  const [, block, kind, number, part] = /^block(\d+)\.(conv|norm)(\d)\.(\w+)$/.exec(parameter) ?? [];
  if (!block) return parameter.replace('head.norm', 'bn1').replace('head.linear', 'linear');
  const late = dropout ? 1 : 0;
  const index = { conv1: 2, conv2: 5, conv3: 8 + late, norm1: 0, norm2: 3, norm3: 6 + late }[`${kind}${number}`]!;
  return `stack.${Number(block) - 1}.bottleneck_block.${index - (block === '1' ? 2 : 0)}.${part}`;
}

/** A checkpoint in memory, as if the release had trained such a network. */
export function checkpointOf(
  config: IRevNetConfig,
  dropout = true,
  change: (tensors: Tensors) => void = () => {},
): Checkpoint {
  const weights = randomParameters(networkParameters(irevnet(config)), seeded(9));
  const tensors: Tensors = new Map([...weights].map(([name, w]) => [releasedName(name, dropout), w]));
  if (config.injective) zeroStream(tensors, config);
  change(tensors);
  const stored = [...tensors].map(
    ([name, w]) => [name, { dims: w.dims, dtype: 'float32', read: async () => w }] as const,
  );
  return {
    path: 'some.pth',
    format: 'pytorch',
    tensors: new Map(stored),
    attributes: new Map(),
    close: async () => {},
  };
}

/** The statistics that training leaves where the second stream of the first block is all zeros. */
function zeroStream(tensors: Tensors, { input, initialPsi, widths, strides }: IRevNetConfig): void {
  const image = input.channels * initialPsi ** 2;
  if (image > widths[0]! || strides[0] !== 1) return;
  const set = (name: string, value: (channel: number) => number) => {
    const old = tensors.get(`stack.${name}`)!;
    tensors.set(`stack.${name}`, { ...old, data: old.data.map((_, channel) => value(channel)) });
  };
  set('0.bottleneck_block.1.running_mean', () => 0);
  set('0.bottleneck_block.1.running_var', () => 0.5);
  set('1.bottleneck_block.0.running_mean', (channel) => (channel < image ? 0.1 : 0));
  set('1.bottleneck_block.0.running_var', (channel) => (channel < image ? 1 : 0.5));
}

export type Tensors = Map<string, Tensor<'float32'>>;

/** A bijective network of three blocks. */
export const base: IRevNetConfig = {
  input: {
    height: 32,
    width: 32,
    channels: 3,
    padding: 0,
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.2023, 0.1994, 0.201],
  },
  classes: 10,
  initialPsi: 2,
  blocks: [2, 1],
  strides: [2, 2],
  widths: [24, 96],
  hidden: [5, 7],
  kernels: [1, 3, 1],
  injective: false,
  grid: null,
};

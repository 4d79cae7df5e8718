import type { ResNetConfig } from '../networks/resnet.js';
import { type Checkpoint, CheckpointFileError } from './checkpoint.js';
import type { Given, Importer, Inferred } from './importer.js';
import { inputOf } from './input.js';

const LAYER = /^layer(\d+)\.(\d+)\.conv1\.weight$/;

async function infer({ path, tensors }: Checkpoint, given: Given): Promise<Inferred> {
  const blocks: number[] = [];
  for (const name of tensors.keys()) {
    const [, stage, block] = LAYER.exec(name) ?? [];
    if (stage !== undefined) blocks[Number(stage) - 1] = Math.max(blocks[Number(stage) - 1] ?? 0, Number(block) + 1);
  }
  const dims = (name: string): readonly number[] => {
    const found = tensors.get(name)?.dims;
    if (found) return found;
    throw new CheckpointFileError(path, `the network cannot be made out: ${name} is missing`);
  };
  const first = (part: string) => Array.from(blocks, (_, stage) => dims(`layer${stage + 1}.0.${part}.weight`));
  const basic = !tensors.has('layer1.0.conv3.weight');
  const hidden = first('conv1').map(([channels]) => channels!);
  const [stem, channels] = dims('conv1.weight') as [number, number];
  if (channels !== 1 && channels !== 3)
    throw new CheckpointFileError(path, `conv1.weight takes ${channels} channels; expected 1 or 3`);
  if (given.channels !== undefined && given.channels !== channels)
    throw new CheckpointFileError(path, `conv1.weight takes ${channels} channels, --channels says ${given.channels}`);
  if (given.initialPsi !== undefined)
    throw new CheckpointFileError(path, 'a ResNet has no initial ψ: leave out --initial-psi');
  const classes = dims('fc.weight')[0]!;
  const { input, assumptions } = inputOf(channels, classes, 2 ** (blocks.length + 1), given);
  const config: ResNetConfig = {
    input,
    classes,
    stem,
    blocks: [...blocks],
    hidden,
    ...(basic ? { basic } : bottlenecks(hidden, first('conv2'), first('conv3'))),
  };
  return { specification: { architecture: 'resnet', config }, assumptions };
}

/** What sets wide ResNets and ResNeXt apart from the ResNets of the paper, which need neither. */
function bottlenecks(hidden: readonly number[], conv2: readonly Dims[], conv3: readonly Dims[]) {
  // A convolution in groups has as many input channels in its weights as one group.
  const groups = Math.max(1, Math.floor(hidden[0]! / conv2[0]![1]!));
  const widths = conv3.map(([channels]) => channels!);
  return {
    ...(widths.some((width, stage) => width !== 4 * hidden[stage]!) && { widths }),
    ...(groups > 1 && { groups }),
  };
}
type Dims = readonly number[];

/** ResNets, wide ResNets and ResNeXts of torchvision. The network's parameters have torchvision's names. */
export const torchvisionResNet: Importer = {
  description: 'ResNet, wide ResNet or ResNeXt, by torchvision',
  recognises: (names) => [...names].some((name) => LAYER.test(name)),
  infer,
  names: () => (parameter) => parameter,
};

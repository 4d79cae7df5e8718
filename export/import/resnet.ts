import type { ResNetConfig } from '../networks/resnet.js';
import { type Checkpoint, CheckpointFileError } from './checkpoint.js';
import type { Given, Importer, Inferred } from './importer.js';
import { inputOf } from './input.js';

const LAYER = /^layer(\d+)\.(\d+)\.conv1\.weight$/;

function infer({ path, tensors }: Checkpoint, given: Given): Inferred {
  const blocks: number[] = [];
  for (const name of tensors.keys()) {
    const [, stage, block] = LAYER.exec(name) ?? [];
    if (stage !== undefined) blocks[Number(stage) - 1] = Math.max(blocks[Number(stage) - 1] ?? 0, Number(block) + 1);
  }
  if (!tensors.has('layer1.0.conv3.weight'))
    throw new CheckpointFileError(
      path,
      'its blocks have two convolutions: ResNets of bottlenecks (50 layers and more) are read',
    );
  const dims = (name: string): readonly number[] => {
    const found = tensors.get(name)?.dims;
    if (found) return found;
    throw new CheckpointFileError(path, `the network cannot be made out: ${name} is missing`);
  };
  const hidden = Array.from(blocks, (_, stage) => dims(`layer${stage + 1}.0.conv1.weight`)[0]!);
  const [stem, channels] = dims('conv1.weight') as [number, number];
  if (channels !== 1 && channels !== 3)
    throw new CheckpointFileError(path, `conv1.weight takes ${channels} channels; expected 1 or 3`);
  const classes = dims('fc.weight')[0]!;
  const { input, assumptions } = inputOf(channels, classes, 2 ** (blocks.length + 1), given);
  const config: ResNetConfig = { input, classes, stem, blocks: [...blocks], hidden };
  return { specification: { architecture: 'resnet', config }, assumptions };
}

/** ResNets of torchvision with bottleneck blocks. The network's parameters have torchvision's names. */
export const torchvisionResNet: Importer = {
  description: 'ResNet, by torchvision',
  recognises: (names) => [...names].some((name) => LAYER.test(name)),
  infer,
  names: () => (parameter) => parameter,
};

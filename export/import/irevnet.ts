import type { IRevNetConfig } from '../networks/irevnet.js';
import { type Checkpoint, CheckpointFileError } from './checkpoint.js';
import type { Given, Importer, Inferred } from './importer.js';
import { inputOf } from './input.js';
import { channelsOf, type FirstBlock, type Statistics, startOf } from './irevnet-start.js';

// Names in the authors' release: stack.{i}.bottleneck_block.{k}.*, bn1.*, linear.*. The block is a Sequential: k is the
// number of the layer in it.

/** Layer numbers of the convolutions and norms in a block: [first block, others], with and without a dropout layer. */
const layouts = {
  dropout: [
    { conv: [0, 3, 7], norm: [undefined, 1, 5] },
    { conv: [2, 5, 9], norm: [0, 3, 7] },
  ],
  plain: [
    { conv: [0, 3, 6], norm: [undefined, 1, 4] },
    { conv: [2, 5, 8], norm: [0, 3, 6] },
  ],
} as const;

const BLOCK = /^stack\.(\d+)\.bottleneck_block\.(\d+)\.(\w+)$/;

/** Recognises a dropout layer, which shifts the numbers of the layers after it, by the numbers of the last convolution. */
function layoutOf({ tensors }: Checkpoint) {
  const shifted = [...tensors.keys()].some((name) =>
    /^stack\.(0\.bottleneck_block\.7|\d+\.bottleneck_block\.9)\.weight$/.test(name),
  );
  return shifted ? layouts.dropout : layouts.plain;
}

/** The shape of a block, inferred from those of its weights that are present. */
interface BlockShape {
  readonly from: number;
  readonly hidden: number;
  readonly width: number;
  readonly kernels: readonly [number, number, number];
}

function blockShape(checkpoint: Checkpoint, path: string, i: number): BlockShape {
  const layout = layoutOf(checkpoint)[i === 0 ? 0 : 1];
  const dims = (k: number | undefined, part: string) =>
    checkpoint.tensors.get(`stack.${i}.bottleneck_block.${k}.${part}`)?.dims ?? [];
  const [c1, c2, c3] = layout.conv.map((k) => dims(k, 'weight')) as [Dims, Dims, Dims];
  // Without affineBN, BatchNorms have statistics alone.
  const [n1, n2, n3] = layout.norm.map((k) => dims(k, 'running_mean')) as [Dims, Dims, Dims];
  const from = c1[1] ?? n1[0];
  const hidden = c1[0] ?? c2[0] ?? c2[1] ?? c3[1] ?? n2[0] ?? n3[0];
  const width = c3[0];
  if (from === undefined || hidden === undefined || width === undefined) {
    const convolutions = layout.conv.map((k) => `stack.${i}.bottleneck_block.${k}.weight`).join(', ');
    throw new CheckpointFileError(path, `block ${i + 1} cannot be made out: expected convolutions ${convolutions}`);
  }
  return { from, hidden, width, kernels: [c1[2] ?? 3, c2[2] ?? 3, c3[2] ?? 3] };
}
type Dims = readonly number[];

/** Consecutive blocks of the same width. Only the first may have stride 2. */
interface Stage extends BlockShape {
  readonly stride: 1 | 2;
  blocks: number;
}

/** Groups blocks into stages. A block of stride 2 has four times the width of its input. */
function stagesOf(blocks: readonly BlockShape[]): Stage[] {
  const stages: Stage[] = [];
  for (const block of blocks) {
    const last = stages.at(-1);
    const stride = block.width === 4 * block.from ? 2 : 1;
    if (last && stride === 1 && last.width === block.width && last.hidden === block.hidden) last.blocks++;
    else stages.push({ ...block, stride, blocks: 1 });
  }
  return stages;
}

async function infer(checkpoint: Checkpoint, given: Given): Promise<Inferred> {
  const { path, tensors, attributes } = checkpoint;
  const numbers = [...tensors.keys()].flatMap((name) => BLOCK.exec(name)?.[1] ?? []).map(Number);
  const count = Math.max(...numbers) + 1;
  if (count > numbers.length) throw new CheckpointFileError(path, `of ${count} blocks most are missing`);
  const shapes = Array.from({ length: count }, (_, i) => blockShape(checkpoint, path, i));
  const stages = stagesOf(shapes);
  const classes = tensors.get('linear.weight')?.dims[0] ?? tensors.get('linear.bias')?.dims[0];
  if (classes === undefined)
    throw new CheckpointFileError(path, 'the classes cannot be told: linear.weight is missing');
  const { start, assumptions: concluded } = startOf(
    checkpoint,
    await firstBlock(checkpoint, shapes[0]!, stages[0]!.stride),
    given,
  );
  const factor = stages.reduce((product, { stride }) => product * stride, start.initialPsi);
  const reduced = attributes.get('ds');
  const known = typeof reduced === 'number' && Number.isSafeInteger(reduced) ? reduced * factor : undefined;
  const { input, assumptions } = inputOf(start.channels, classes, factor, given, known);
  const config: IRevNetConfig = {
    input,
    classes,
    initialPsi: start.initialPsi,
    blocks: stages.map(({ blocks }) => blocks),
    strides: stages.map(({ stride }) => stride),
    widths: stages.map(({ width }) => width),
    hidden: stages.map(({ hidden }) => hidden),
    kernels: [...shapes.at(-1)!.kernels],
    injective: channelsOf(start) < 2 * shapes[0]!.from || stages.some(isPadded),
    grid: null,
  };
  return { specification: { architecture: 'irevnet', config }, assumptions: [...concluded, ...assumptions] };
}

/** Whether zero channels are added before a stage that is not the first. */
const isPadded = ({ stride, width }: Stage, i: number, stages: readonly Stage[]): boolean =>
  i > 0 && stride === 1 && width !== stages[i - 1]!.width;

/** The first block, with the statistics that the file keeps of what flows into it and out of it. */
async function firstBlock(checkpoint: Checkpoint, block: BlockShape, stride: 1 | 2): Promise<FirstBlock> {
  const [first, others] = layoutOf(checkpoint);
  return {
    from: block.from,
    stride,
    behind: await statistics(checkpoint, `stack.0.bottleneck_block.${first.norm[1]}`),
    second: await statistics(checkpoint, `stack.1.bottleneck_block.${others.norm[0]}`),
  };
}

async function statistics({ tensors }: Checkpoint, name: string): Promise<Statistics | undefined> {
  const [mean, variance] = [tensors.get(`${name}.running_mean`), tensors.get(`${name}.running_var`)];
  return mean && variance && { mean: (await mean.read()).data, variance: (await variance.read()).data };
}

/** Checkpoints that the released PyTorch code of the i-RevNet authors wrote. */
export const releasedIRevNet: Importer = {
  description: 'i-RevNet, by the authors’ released code',
  recognises: (names) => [...names].some((name) => BLOCK.test(name)),
  infer,
  names: (checkpoint) => {
    const layout = layoutOf(checkpoint);
    return (parameter) => {
      const [, block, kind, number, part] = /^block(\d+)\.(conv|norm)([123])\.(\w+)$/.exec(parameter) ?? [];
      if (block === undefined) return parameter.replace(/^head\.norm\./, 'bn1.').replace(/^head\.linear\./, 'linear.');
      const k = layout[block === '1' ? 0 : 1][kind as 'conv' | 'norm'][Number(number) - 1];
      return `stack.${Number(block) - 1}.bottleneck_block.${k}.${part}`;
    };
  },
};

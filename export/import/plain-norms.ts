import { tensor } from '../graph/tensor.js';
import type { Checkpoint } from './checkpoint.js';
import type { StoredTensor } from './strided.js';

/** A part of a name that is a number: the norm lies in a block, not in the stem or the head. */
const IN_BLOCK = /(^|\.)\d+\./;

/**
 * The tensors with the scales and shifts that BatchNorms without parameters stand for: 1 and 0 (affineBN=False of the
 * release, affine=False of PyTorch). They are added where no BatchNorm of a block has any; elsewhere they are missing.
 */
export function withPlainNorms(tensors: Checkpoint['tensors']): {
  tensors: Checkpoint['tensors'];
  assumptions: string[];
} {
  const norms = [...tensors.keys()].flatMap((name) => /^(.*)\.running_mean$/.exec(name)?.[1] ?? []);
  const plain = norms.filter((norm) => !tensors.has(`${norm}.weight`) && !tensors.has(`${norm}.bias`));
  const inBlocks = norms.filter((norm) => IN_BLOCK.test(norm));
  if (plain.length === 0 || !inBlocks.every((norm) => plain.includes(norm))) return { tensors, assumptions: [] };
  const added = plain.flatMap((norm): [string, StoredTensor][] => {
    const { dims } = tensors.get(`${norm}.running_mean`)!;
    return [
      [`${norm}.weight`, filled(dims, 1)],
      [`${norm}.bias`, filled(dims, 0)],
    ];
  });
  return {
    tensors: new Map([...tensors, ...added]),
    assumptions: [
      `scale 1 and shift 0 for ${plain.length} BatchNorms, which have neither in the file (affineBN=False)`,
    ],
  };
}

const filled = (dims: readonly number[], value: number): StoredTensor => ({
  dims,
  dtype: 'float32',
  read: async () => tensor('float32', dims, new Float32Array(dims.reduce((a, d) => a * d, 1)).fill(value)),
});

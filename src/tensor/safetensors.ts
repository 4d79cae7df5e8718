import type { Chunks } from '../../export/files.js';
import { readSafetensors, SafetensorsError, writeSafetensors } from '../../export/safetensors.js';
import type { Tensor } from '../../export/tensor.js';
import { Problem, type ProblemCode } from '../errors.js';

/** The name under which features are written and looked for. */
const NAME = 'features';

const codes: Record<SafetensorsError['problem'], ProblemCode> = {
  truncated: 'features-length',
  header: 'features-malformed',
  dtype: 'features-dtype',
  shape: 'features-malformed',
  layout: 'features-length',
};

export const writeFeatures = (features: Tensor<'float32'>, metadata: Record<string, string>): Chunks =>
  writeSafetensors({ tensors: new Map([[NAME, features]]), metadata });

/**
 * Reads the tensor "features", or the only one.
 * @throws Problem features-name, features-malformed, features-dtype, features-length
 */
export function readFeatures(bytes: Uint8Array): Tensor<'float32'> {
  const { tensors } = explained(() => readSafetensors(bytes));
  const tensor = tensors.get(NAME) ?? (tensors.size === 1 ? [...tensors.values()][0] : undefined);
  if (!tensor) {
    const names = [...tensors.keys()].slice(0, 5).join(', ') || 'none';
    throw new Problem('features-name', `expected a tensor named "${NAME}" in the safetensors file; it has: ${names}`);
  }
  if (tensor.type !== 'float32')
    throw new Problem('features-dtype', `the tensor is ${tensor.type}; expected float32 (F32)`);
  return tensor as Tensor<'float32'>;
}

function explained<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error;
    throw new Problem(codes[error.problem], `the safetensors file cannot be read: ${error.message}`, { cause: error });
  }
}

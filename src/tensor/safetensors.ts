import type { Chunks } from '../../export/files.js';
import { headerLength, readSafetensors, SafetensorsError, writeSafetensors } from '../../export/safetensors.js';
import type { Tensor } from '../../export/tensor.js';
import { Problem, type ProblemCode } from '../errors.js';
import { checkShape } from './shape.js';

/** The name under which features are written and looked for. */
const NAME = 'features';

/** Bytes that the header of an upload may have; one that describes features has some hundred. */
const HEADER_LIMIT = 65536;

/** Characters of a name, and of what is wrong with a file, that an error repeats. */
const [NAME_SHOWN, REASON_SHOWN] = [64, 200];

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
 * @throws Problem features-name, features-malformed, features-rank, features-dtype, features-length
 */
export function readFeatures(bytes: Uint8Array): Tensor<'float32'> {
  const { tensors } = explained(() => {
    const length = headerLength(bytes, bytes.length);
    if (length > HEADER_LIMIT) throw new SafetensorsError('header', `the header has ${length} bytes`);
    return readSafetensors(bytes);
  });
  const tensor = tensors.get(NAME) ?? (tensors.size === 1 ? [...tensors.values()][0] : undefined);
  if (!tensor) {
    const names =
      Array.from(tensors.keys(), (name) => name.slice(0, NAME_SHOWN))
        .slice(0, 5)
        .join(', ') || 'none';
    throw new Problem('features-name', `expected a tensor named "${NAME}" in the safetensors file; it has: ${names}`);
  }
  if (tensor.type !== 'float32')
    throw new Problem('features-dtype', `the tensor is ${tensor.type}; expected float32 (F32)`);
  checkShape(tensor.dims);
  return tensor as Tensor<'float32'>;
}

function explained<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error;
    const reason = error.message.slice(0, REASON_SHOWN);
    throw new Problem(codes[error.problem], `the safetensors file cannot be read: ${reason}`, { cause: error });
  }
}

import { rows } from '../../export/graph/rows.js';
import type { Tensor } from '../../export/graph/tensor.js';
import type { Session } from '../../export/runtime/session.js';

/** The sizes that a model's batches are padded up to: those wanted that fit, and the limit itself. */
export const bucketsOf = (wanted: readonly number[], limit: number): number[] =>
  wanted.length === 0
    ? []
    : [...new Set(wanted)]
        .filter((size) => size < limit)
        .sort((a, b) => a - b)
        .concat(limit);

/** The smallest bucket that holds so many images; as many as there are where none does. */
export const bucketFor = (buckets: readonly number[], images: number): number =>
  buckets.find((size) => size >= images) ?? images;

/**
 * Runs a session on batches padded up to the next bucket, whose results are cut back. The rows that are added repeat the
 * last one, so that they cost what others cost and cannot overflow.
 */
export function padded(session: Pick<Session, 'run'>, buckets: readonly number[]): Session['run'] {
  return async (feeds, fetch) => {
    const [[name, input]] = Object.entries(feeds) as [[string, Tensor]];
    const images = input.dims[0]!;
    const size = bucketFor(buckets, images);
    if (size === images) return session.run(feeds, fetch);
    const outputs = await session.run({ [name]: grown(input, size) }, fetch);
    return Object.fromEntries(Object.entries(outputs).map(([output, tensor]) => [output, rows(tensor, 0, images)]));
  };
}

/** A tensor with so many rows, the last one repeated. */
function grown<T extends Tensor>(tensor: T, size: number): T {
  const { type, dims, data } = tensor;
  const length = data.length / dims[0]!;
  const all = new (data.constructor as new (length: number) => Tensor['data'])(size * length);
  all.set(data as never);
  for (let row = dims[0]!; row < size; row++) all.set(data.subarray(data.length - length) as never, row * length);
  return { type, dims: [size, ...dims.slice(1)], data: all } as Tensor as T;
}

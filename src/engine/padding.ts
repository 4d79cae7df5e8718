import { rows } from '../../export/graph/rows.js';
import type { Tensor } from '../../export/graph/tensor.js';
import type { Session } from '../../export/runtime/session.js';

/** The smallest bucket that holds this many images; the number of images itself where none does. */
export const bucketFor = (buckets: readonly number[], images: number): number =>
  buckets.find((size) => size >= images) ?? images;

/**
 * Wraps a session so that batches are padded up to the next bucket and their results cut back. Padding repeats the last
 * row, so that it costs what an image costs and cannot overflow.
 */
export function padded(session: Pick<Session, 'run'>, buckets: readonly number[]): Session['run'] {
  return async (feeds, fetch) => {
    const [[name, input]] = Object.entries(feeds) as [[string, Tensor]];
    const images = input.dims[0]!;
    const size = bucketFor(buckets, images);
    if (size === images) return session.run(feeds, fetch);
    const outputs = await session.run({ [name]: pad(input, size) }, fetch);
    return Object.fromEntries(Object.entries(outputs).map(([output, tensor]) => [output, rows(tensor, 0, images)]));
  };
}

/** A tensor with this many rows, of which the last is repeated. */
function pad({ type, dims, data }: Tensor, size: number): Tensor {
  const length = data.length / dims[0]!;
  const all = new (data.constructor as new (length: number) => Tensor['data'])(size * length);
  all.set(data as never);
  for (let row = dims[0]!; row < size; row++) all.set(data.subarray(data.length - length) as never, row * length);
  return { type, dims: [size, ...dims.slice(1)], data: all } as Tensor;
}

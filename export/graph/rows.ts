import { sizeOf, type Tensor, type TypedArray } from './tensor.js';

/** Rows [from, to) of a tensor along its first axis, without a copy. */
export function rows<T extends Tensor>({ type, dims, data }: T, from: number, to: number): T {
  const size = sizeOf(dims.slice(1));
  return { type, dims: [to - from, ...dims.slice(1)], data: data.subarray(from * size, to * size) } as Tensor as T;
}

/** Concatenates tensors along the first axis. A single tensor is returned without a copy. */
export function stack<T extends Tensor>(parts: readonly T[]): T {
  const [first] = parts as readonly [T];
  if (parts.length === 1) return first;
  const length = parts.reduce((sum, p) => sum + p.data.length, 0);
  const data = new (first.data.constructor as new (length: number) => TypedArray)(length);
  let at = 0;
  for (const part of parts) {
    (data as Uint8Array).set(part.data as Uint8Array, at);
    at += part.data.length;
  }
  const count = parts.reduce((sum, p) => sum + p.dims[0]!, 0);
  return { type: first.type, dims: [count, ...first.dims.slice(1)], data } as Tensor as T;
}

/** Concatenates tensors along the first axis, without a copy if they already follow one another in one buffer. */
export function joined<T extends Tensor>(parts: readonly T[]): T {
  const [first] = parts as readonly [T];
  let end = first.data.byteOffset;
  const inPlace = parts.every(({ data }) => {
    const follows = data.buffer === first.data.buffer && data.byteOffset === end;
    end += data.byteLength;
    return follows;
  });
  if (!inPlace) return stack(parts);
  const count = parts.reduce((sum, p) => sum + p.dims[0]!, 0);
  const { buffer, byteOffset, BYTES_PER_ELEMENT } = first.data;
  const length = (end - byteOffset) / BYTES_PER_ELEMENT;
  type View = new (buffer: ArrayBufferLike, from: number, length: number) => TypedArray;
  const data = new (first.data.constructor as View)(buffer, byteOffset, length);
  return { type: first.type, dims: [count, ...first.dims.slice(1)], data } as Tensor as T;
}

/** The tensor in a buffer of its own, which can be transferred to another thread; copies only if it shares a buffer. */
export function owned<T extends Tensor>(tensor: T): T {
  const alone = tensor.data.byteLength === tensor.data.buffer.byteLength;
  return alone ? tensor : ({ ...tensor, data: tensor.data.slice() } as T);
}

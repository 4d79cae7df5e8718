import type { Session } from '../../export/runtime/session.js';

/**
 * Opens a graph once for each size of batch, so that every session meets one size alone. ONNX Runtime's CUDA provider plans
 * all convolutions anew whenever the size of a batch is not that of the batch before, also back to a size that it has met
 * (https://github.com/microsoft/onnxruntime/issues/23006).
 * @param sizes of all batches that will be run; at least one
 * @throws what opening throws; what was opened is released
 */
export async function openBySize(
  sizes: readonly number[],
  open: (images: number) => Promise<Session>,
): Promise<Session> {
  const sessions = new Map<number, Session>();
  const release = async () => {
    for (const session of sessions.values()) await session.release();
  };
  try {
    for (const size of sizes) sessions.set(size, await open(size));
  } catch (error) {
    await release();
    throw error;
  }
  const sessionFor = (images: number): Session => {
    const session = sessions.get(images);
    if (session) return session;
    throw new RangeError(`a batch of ${images} images, where one of ${sizes.join(', ')} was expected`);
  };
  return {
    ...sessionFor(sizes[0]!),
    async run(feeds, fetch) {
      const [input] = Object.values(feeds);
      return sessionFor(input!.dims[0]!).run(feeds, fetch);
    },
    release,
  };
}

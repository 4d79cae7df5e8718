import { parentPort, workerData } from 'node:worker_threads';
import type { Item } from './inputs.js';
import { createReader, type Read, type ReaderSettings } from './reading.js';

// A thread that reads and decodes. Small files are read at once and not by libuv's threads, which would take several times
// the work of decoding them.

export type Reply = Read | { readonly failed: Error };

const read = createReader(workerData as ReaderSettings);

parentPort!.on('message', async (items: readonly Item[]) => {
  try {
    const result = await read(items);
    parentPort!.postMessage(result satisfies Reply, [result.data.buffer]);
  } catch (failed) {
    parentPort!.postMessage({ failed: failed as Error } satisfies Reply);
  }
});

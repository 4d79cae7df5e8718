import { parentPort, workerData } from 'node:worker_threads';
import type { Item } from './plan.js';
import { createReader, type Read, type ReaderSettings } from './reading.js';

// A thread that reads and decodes files. It reads synchronously, because handing a small file to libuv's thread pool takes
// several times the work of decoding it.

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

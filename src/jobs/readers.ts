import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Semaphore } from '../common/semaphore.js';
import { thisMachine } from '../engine/sizing.js';
import type { Reply } from './reader-thread.js';
import type { Reader, ReaderSettings } from './reading.js';

/** Threads that read and decode. Each processes one list of items at a time. */
export interface Readers {
  readonly read: Reader;
  close(): Promise<void>;
}

/** CPU cores for each reading thread. A thread decodes several files at once, and small files take little time. */
const CORES_PER_READER = 4;

/** As many threads as a job uses when nobody says how many. */
export const usualReaders = (): number => Math.ceil(thisMachine().cores / CORES_PER_READER);

export function openReaders(count: number, settings: ReaderSettings): Readers {
  const threads = Array.from(
    { length: count },
    () => new Worker(new URL('./reader-thread.js', import.meta.url), { workerData: settings }),
  );
  const free = [...threads];
  const semaphore = new Semaphore(count);
  return {
    read: (items) =>
      semaphore.run(async () => {
        const thread = free.pop()!;
        thread.postMessage(items);
        // `once` rejects when the thread itself fails.
        const [reply] = (await once(thread, 'message')) as [Reply];
        free.push(thread);
        if ('failed' in reply) throw reply.failed;
        return reply;
      }),
    close: async () => void (await Promise.all(threads.map((thread) => thread.terminate()))),
  };
}

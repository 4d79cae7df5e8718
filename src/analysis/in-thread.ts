import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Semaphore } from '../common/semaphore.js';
import type { Task } from './worker.js';

/** One experiment at a time: the others wait, so that the service keeps most of its cores. */
const threads = new Semaphore(1);

/**
 * Runs an experiment on pictures in a thread of its own, which ends with it, or when the signal is aborted.
 * @throws what the experiment throws; the signal's reason
 */
export const runInThread = <R>(task: Task, signal?: AbortSignal): Promise<R> =>
  threads.run(async () => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: task });
    try {
      const [result] = (await once(worker, 'message', { ...(signal && { signal }) })) as [R];
      return result;
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    } finally {
      await worker.terminate();
    }
  }, signal);

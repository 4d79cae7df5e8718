import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Message, Order, Outcome, WorkerSettings } from './throughput-worker.js';

export type BenchWorker = ReturnType<typeof openWorker>;

/** A thread with sessions of its own, of graphs in a folder. */
export function openWorker(settings: WorkerSettings) {
  const thread = new Worker(new URL('./throughput-worker.js', import.meta.url), { workerData: settings });
  const gone = new Promise((resolve) => thread.once('exit', resolve));
  const post = (message: Message) => thread.postMessage(message);
  return {
    async run(order: Order): Promise<Outcome> {
      post(order);
      const [outcome] = await once(thread, 'message');
      return outcome as Outcome;
    },
    async close() {
      post('stop');
      await gone;
    },
  };
}

/** Runs of all workers together, from the start of the first to the end of the last. */
export async function runsPerSecond(workers: readonly BenchWorker[], order: Order): Promise<number> {
  const outcomes = await Promise.all(workers.map(({ run }) => run(order)));
  const [begun, ended] = [outcomes.map((o) => Number(o.begun)), outcomes.map((o) => Number(o.ended))];
  return (1e9 * workers.length * order.runs) / (Math.max(...ended) - Math.min(...begun));
}

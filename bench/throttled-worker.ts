import { parentPort, workerData } from 'node:worker_threads';
import type { Report } from '../src/engine/protocol.js';

// A worker of the service that is as slow as it is told: each batch is reported so many milliseconds after it is done.

/** What the settings of a worker hold besides. */
export interface Throttled {
  /** Milliseconds. */
  readonly delay: number;
}

const { delay } = workerData as Throttled;
const post = parentPort!.postMessage.bind(parentPort!);
parentPort!.postMessage = (report: Report, transfer: readonly ArrayBuffer[]) =>
  report.kind === 'done' ? void setTimeout(post, delay, report, transfer) : post(report, transfer);

await import('../src/engine/worker.js');

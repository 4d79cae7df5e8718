import { parentPort, workerData } from 'node:worker_threads';

// A worker of the service that can be told to die: it takes the next batch, and its thread ends instead of computing it.
// (A thread that is ended from outside in the middle of native code takes the process with it.)

/** What the settings of a worker hold besides: 1 once the next worker that gets a batch is to die. */
export interface Mortal {
  readonly doom: Int32Array;
}

const { doom } = workerData as Mortal;

// Before the worker itself listens.
parentPort!.on('message', () => {
  if (Atomics.compareExchange(doom, 0, 1, 0) === 1) process.exit(1);
});

await import('../src/engine/worker.js');

import { parentPort, workerData } from 'node:worker_threads';

// The real worker, but with a fate: it dies or hangs when it receives its first batch, or exits before it has loaded.

const { fate } = workerData as { readonly fate?: string };

if (fate === 'stays down') process.exit(1);
parentPort!.on('message', () => {
  if (fate === 'dies') process.exit(1);
  if (fate === 'hangs') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
await import('../../src/engine/worker.js');

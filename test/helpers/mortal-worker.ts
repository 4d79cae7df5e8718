import { parentPort, workerData } from 'node:worker_threads';

// The real worker, which meets its fate when it gets its first batch, or before it has loaded anything.

const { fate } = workerData as { readonly fate?: string };

if (fate === 'stays down') process.exit(1);
parentPort!.on('message', () => {
  if (fate === 'dies') process.exit(1);
  if (fate === 'hangs') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
await import('../../src/engine/worker.js');

import { rmSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

// Loaded into a service before its own code (`node --import`), this makes its worker threads slow, or one of them die. It
// hooks into the messages with which workers report their batches, and knows nothing else of them.

interface Faults {
  /** Milliseconds that every batch takes more. */
  readonly delay?: number;
  /** While there is a file of this name, the next worker that has computed a batch deletes it and ends its thread. */
  readonly deadly?: string;
}

/** The flags of Node.js that load this file into a service. */
export const faults = ({ delay = 0, deadly = '' }: Faults): string[] => {
  const url = new URL(`faults.js?${new URLSearchParams({ delay: `${delay}`, deadly })}`, import.meta.url);
  return ['--import', url.href];
};

const { searchParams } = new URL(import.meta.url);
if (searchParams.size > 0 && parentPort) {
  const [delay, deadly] = [Number(searchParams.get('delay')), searchParams.get('deadly')];
  const post = parentPort.postMessage.bind(parentPort);
  parentPort.postMessage = (report, transfer) => {
    if (deadly && isDeleted(deadly)) process.exit(1);
    // A worker is blocked while it computes.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delay);
    post(report, transfer);
  };
}

/** Whether this call has deleted the file; one of several threads succeeds. */
function isDeleted(file: string): boolean {
  try {
    rmSync(file);
    return true;
  } catch {
    return false;
  }
}

import { removeUnfinished } from '../../export/files/temporary.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Until `end()`, a signal that ends the process first removes the files and folders that are not complete. */
export function cleanUpOnSignals(): { end(): void } {
  const end = () => {
    for (const signal of SIGNALS) process.off(signal, leave);
  };
  const leave = (signal: NodeJS.Signals) => {
    end();
    try {
      removeUnfinished();
    } finally {
      // With the listeners gone the signal ends the process, and its parent sees which one it was.
      process.kill(process.pid, signal);
    }
  };
  for (const signal of SIGNALS) process.on(signal, leave);
  return { end };
}

import { removeUnfinished } from '../../export/files/temporary.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The exit code that shells report for a program that Ctrl-C ended. */
export const INTERRUPTED = 130;

/** Until `end()`, a signal that ends the process first removes the files and folders that are not complete. */
export function cleanUpOnSignals(): { end(): void } {
  return listen(SIGNALS, (signal, end) => leave(signal, end));
}

/**
 * Until `end()`, the first signal to stop aborts, and a second one ends the process.
 * @param words say on standard error what happens after the first
 */
export function stopOnSignals(words: string): { readonly signal: AbortSignal; end(): void } {
  const stop = new AbortController();
  const { end } = listen(['SIGINT', 'SIGTERM'], (signal, end) => {
    if (stop.signal.aborted) return leave(signal, end);
    stop.abort();
    process.stderr.write(`\n${words}\n`);
  });
  return { signal: stop.signal, end };
}

function listen(signals: readonly NodeJS.Signals[], listener: (signal: NodeJS.Signals, end: () => void) => void) {
  const end = () => {
    for (const signal of signals) process.off(signal, heard);
  };
  const heard = (signal: NodeJS.Signals) => listener(signal, end);
  for (const signal of signals) process.on(signal, heard);
  return { end };
}

/**
 * Ends the process by a signal, without its listeners; its parent sees which one it was. `process.exit` would unload native
 * code while its threads compute, which aborts.
 */
function leave(signal: NodeJS.Signals, end: () => void): void {
  end();
  try {
    removeUnfinished();
  } finally {
    process.kill(process.pid, signal);
  }
}

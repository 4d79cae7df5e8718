import { useEffect, useState } from 'preact/hooks';
import { ServiceError } from '../../client/index.js';

/** How an answer stands: on its way (`value` is the one before), there, or refused. */
export interface Task<T> {
  readonly value?: T;
  readonly error?: unknown;
  readonly busy: boolean;
  /** Asks again. */
  again(): void;
}

/** Seconds until a refused request is sent again; undefined where that would not help. */
export function pauseAfter(error: unknown): number | undefined {
  if (!(error instanceof ServiceError)) return 2;
  if ([429, 503].includes(error.status)) return error.retryAfter ?? 2;
  return undefined;
}

/**
 * Asks when the inputs change, and aborts what they have overtaken. When the service is busy, starts or cannot be reached,
 * asks again by itself.
 */
export function useTask<T>(ask: (signal: AbortSignal) => Promise<T>, inputs: readonly unknown[]): Task<T> {
  const [task, setTask] = useState<Omit<Task<T>, 'again'>>({ busy: true });
  const [tries, setTries] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    setTask(({ value }) => ({ ...(value !== undefined && { value }), busy: true }));
    ask(abort.signal).then(
      (value) => abort.signal.aborted || setTask({ value, busy: false }),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        setTask({ error, busy: false });
        const pause = pauseAfter(error);
        if (pause !== undefined) timer = setTimeout(() => setTries((n) => n + 1), 1000 * pause);
      },
    );
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [...inputs, tries]);
  return { ...task, again: () => setTries((n) => n + 1) };
}

/** Runs one call at a time; of those asked for meanwhile only the last is run. */
export function latest(): (call: () => Promise<void>) => void {
  let running = false;
  let waiting: (() => Promise<void>) | undefined;
  const run = async (call: () => Promise<void>): Promise<void> => {
    running = true;
    await call().catch(() => undefined);
    running = false;
    const next = waiting;
    waiting = undefined;
    if (next) await run(next);
  };
  return (call) => {
    if (running) waiting = call;
    else void run(call);
  };
}

import type { Progress } from '../analysis/context.js';
import { failureOf } from '../analysis/jobs/failure.js';
import type { Told } from '../analysis/jobs/process.js';

/** The process that started this one, which is told of progress and of failures. */
export interface Supervisor {
  readonly show: Progress;
  failed(error: Error): void;
  /** Lets this process end by itself. */
  end(): void;
}

/** Milliseconds between two messages of one stage. */
const EVERY = 200;

/** Ends with the process that started this one, whatever that one ends of. @throws Error where it has no channel to it */
export function supervised(): Supervisor {
  if (!process.connected) throw new Error('--supervised is for a process that is started with a channel (IPC)');
  const orphaned = () => process.kill(process.pid, 'SIGTERM');
  process.once('disconnect', orphaned);
  const tell = (told: Told) => void process.send!(told, undefined, undefined, () => undefined);
  let [last, shown] = ['', 0];
  return {
    show(what, done, total) {
      if (what === last && Date.now() - shown < EVERY && done < total) return;
      [last, shown] = [what, Date.now()];
      tell({ progress: { done, total, what } });
    },
    failed(error) {
      const failure = failureOf(error);
      if (failure) tell({ failure });
    },
    end() {
      process.off('disconnect', orphaned);
      process.disconnect();
    },
  };
}

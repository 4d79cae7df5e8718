import { type Cancellation, throwIfCancelled } from './work.js';

/** Lets some tasks run at once; the others wait in their order, but for those that nobody waits for any more. */
export class Turns {
  #free: number;
  readonly #waiting = new Set<() => void>();

  /** @param atOnce tasks that run at once */
  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /**
   * Runs a task when it is its turn. Cancelled before, it is never run, and neither its place nor its memory is kept.
   * @throws the reason of the cancellation; what the task throws
   */
  async run<T>(task: () => Promise<T>, cancellation?: Cancellation): Promise<T> {
    throwIfCancelled({ cancellation });
    if (this.#free > 0) this.#free--;
    else await this.#turn(cancellation);
    try {
      return await task();
    } finally {
      this.#pass();
    }
  }

  #turn(cancellation: Cancellation | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const begin = () => {
        forget?.();
        resolve();
      };
      const forget = cancellation?.onCancel((reason) => {
        this.#waiting.delete(begin);
        reject(reason);
      });
      this.#waiting.add(begin);
    });
  }

  /** Hands a turn that is over to whoever waits first. */
  #pass(): void {
    const [first] = this.#waiting;
    if (!first) {
      this.#free++;
      return;
    }
    this.#waiting.delete(first);
    first();
  }
}

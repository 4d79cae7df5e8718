import { availableParallelism, constants, getPriority, setPriority } from 'node:os';

const { PRIORITY_BELOW_NORMAL } = constants.priority;

/**
 * Has this thread, and the threads that it starts, give way to the others of the process: where cores are short, who is to
 * be told something does not wait for what is computed. On a single core nobody gives way, since a flood of requests that are
 * refused would leave next to nothing for those that are not. Linux alone has priorities of threads; where it does not allow to
 * change them, all stays as it was.
 */
export function giveWay(): void {
  if (process.platform !== 'linux' || availableParallelism() === 1) return;
  try {
    if (getPriority() < PRIORITY_BELOW_NORMAL) setPriority(PRIORITY_BELOW_NORMAL);
  } catch {
    // What is computed is the same.
  }
}

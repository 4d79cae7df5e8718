import { problemOf, type Reason } from '../common/problems.js';

/** Milliseconds after which an answer counts for 1/e in the rate, and the most seconds that a client is told to stay away. */
const MEMORY = 10_000;
const LONGEST = 60;

/** Who may come in: counts the images that are accepted and not yet answered. It knows no threads and no data. */
export interface Admission {
  /**
   * Takes images in, or refuses all of them; whoever comes to an empty house is let in. The function that comes back lets
   * them out, once.
   * @throws Problem overloaded
   */
  enter(images: number): () => void;
  /** Why nothing could enter now, whatever its size: overloaded. The same object as long as nobody comes or goes. */
  lack(): Reason | undefined;
  /** Images inside. */
  inside(): number;
}

/** @param now a clock in milliseconds */
export function createAdmission(maxQueue: number, now: () => number = () => performance.now()): Admission {
  let inside = 0;
  // Images that have left, those of long ago counting less.
  let left = 0;
  let first: number | undefined;
  let last = now();
  // Why one more is refused. Asked for thousands of times between two that come or go.
  let reason: Reason | undefined;
  /** Seconds that the images inside take at the rate of late. */
  const retryAfter = () => {
    if (first === undefined) return 1;
    const perSecond = left / ((MEMORY / 1000) * (1 - Math.exp((first - last) / MEMORY)));
    return Math.min(LONGEST, Math.max(1, Math.ceil(inside / perSecond)));
  };
  const overloaded = (more: number): Reason => ({
    code: 'overloaded',
    message: `${inside} images are under way, and ${more} more do not fit into ${maxQueue}`,
    retryAfter: retryAfter(),
  });
  const leave = (images: number) => {
    const at = now();
    first ??= at - 1000;
    left = left * Math.exp((last - at) / MEMORY) + images;
    last = at;
    inside -= images;
    reason = undefined;
  };
  return {
    enter(images) {
      if (inside > 0 && inside + images > maxQueue) throw problemOf(overloaded(images));
      inside += images;
      reason = undefined;
      let here = true;
      return () => {
        if (here) leave(images);
        here = false;
      };
    },
    lack() {
      if (inside < maxQueue) return undefined;
      reason ??= overloaded(1);
      return reason;
    },
    inside: () => inside,
  };
}

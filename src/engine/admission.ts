import { problemOf, type Reason } from '../common/problems.js';

/** Time constant of the completion rate, in milliseconds, and the longest Retry-After, in seconds. */
const WINDOW = 10_000;
const LONGEST = 60;

/** Bounds how many images are in the service: accepted and not yet answered. */
export interface Admission {
  /**
   * Accepts images, or refuses all of them. While nothing else is in the service, a request of any size is accepted.
   * @returns a function that releases their slots; later calls do nothing
   * @throws Problem overloaded
   */
  enter(images: number): () => void;
  /** Why not even one image would be accepted now; undefined while there is a free slot. */
  lack(): Reason | undefined;
  /** Images in the service. */
  inside(): number;
}

export function createAdmission(maxQueue: number): Admission {
  let inside = 0;
  // Images answered, weighted by exp(−age / WINDOW): divided by the total weight of the time observed it is a rate.
  let answered = 0;
  let observedSince: number | undefined;
  let updated = performance.now();
  /** Seconds that the images inside take at the current rate. */
  const retryAfter = () => {
    if (observedSince === undefined) return 1;
    const seconds = (WINDOW / 1000) * (1 - Math.exp((observedSince - updated) / WINDOW));
    return Math.min(LONGEST, Math.max(1, Math.ceil(inside / (answered / seconds))));
  };
  const overloaded = (more: number): Reason => ({
    code: 'overloaded',
    message: `${inside} images are under way, and ${more} more do not fit into ${maxQueue}`,
    retryAfter: retryAfter(),
  });
  const leave = (images: number) => {
    const now = performance.now();
    observedSince ??= now - 1000;
    answered = answered * Math.exp((updated - now) / WINDOW) + images;
    updated = now;
    inside -= images;
  };
  return {
    enter(images) {
      if (inside > 0 && inside + images > maxQueue) throw problemOf(overloaded(images));
      inside += images;
      let held = true;
      return () => {
        if (held) leave(images);
        held = false;
      };
    },
    lack: () => (inside < maxQueue ? undefined : overloaded(1)),
    inside: () => inside,
  };
}

/** Something that waits to be run: only jobs of one lane can share a batch. */
export interface Waiting {
  /** Which graph of which model. */
  readonly lane: string;
  readonly images: number;
  /** Images in a batch of this lane; a single job may be larger. */
  readonly limit: number;
  /** When it began to wait, in milliseconds. */
  readonly since: number;
}

/** Decides what runs together and in which order. It knows no threads, no clock and no data. */
export interface Batcher<J extends Waiting> {
  add(jobs: readonly J[]): void;
  /** Puts jobs before all others of their lane. */
  putBack(jobs: readonly J[]): void;
  /**
   * The next batch at this time: of the lane whose first job is oldest, its jobs in order, as many as fit. Empty when
   * nothing waits, or when what waits is to be joined by more.
   * @param most images, whatever the lane's limit
   */
  take(now: number, most?: number): J[];
  /** When `take` will give something though nothing is added; undefined when nothing waits. */
  due(): number | undefined;
  /** Forgets a job that still waits. */
  cancel(job: J): void;
  /** How many images wait. */
  waiting(): number;
}

/** @param maxDelay milliseconds that a batch which is not full waits for more */
export function createBatcher<J extends Waiting>(maxDelay = 0): Batcher<J> {
  // Oldest first. (An array: a Map or Set that empties with every request leaves tables behind, which hold on to what was in
  // them until the next full collection of garbage.)
  const queue: J[] = [];
  let images = 0;
  const remove = (job: J) => {
    const at = queue.indexOf(job);
    if (at < 0) return;
    queue.splice(at, 1);
    images -= job.images;
  };
  const count = (jobs: readonly J[]) => {
    for (const job of jobs) images += job.images;
  };
  return {
    add(jobs) {
      queue.push(...jobs);
      count(jobs);
    },
    putBack(jobs) {
      queue.unshift(...jobs);
      count(jobs);
    },
    take(now, most = Infinity) {
      const later = new Set<string>();
      for (const first of queue) {
        if (later.has(first.lane)) continue;
        const { batch, full } = fill(first, queue, most);
        if (full || now - first.since >= maxDelay) {
          batch.forEach(remove);
          return batch;
        }
        later.add(first.lane);
      }
      return [];
    },
    due: () => queue[0] && queue[0].since + maxDelay,
    cancel: remove,
    waiting: () => images,
  };
}

/** The first jobs of a lane that fit into a batch, and whether no other would. */
function fill<J extends Waiting>({ lane, limit }: J, queue: readonly J[], most: number): { batch: J[]; full: boolean } {
  const batch: J[] = [];
  let room = Math.min(limit, most);
  for (const job of queue) {
    if (job.lane !== lane) continue;
    if (batch.length > 0 && job.images > room) return { batch, full: true };
    batch.push(job);
    room -= job.images;
    if (room <= 0) return { batch, full: true };
  }
  return { batch, full: false };
}

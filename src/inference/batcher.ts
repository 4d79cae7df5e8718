/** Something that waits to be run: only jobs of one lane can share a batch. */
export interface Waiting {
  readonly lane: string;
  readonly images: number;
}

export interface Limits {
  /** Images in a batch; a single job is never larger. */
  readonly maxBatch: number;
  /** Images that may wait, unless nothing waits. */
  readonly maxQueue: number;
}

/** Decides what waits, what runs together and in which order. It knows no threads, no clock and no data. */
export interface Batcher<J extends Waiting> {
  /** Lets all of these wait, or none of them: false when the queue is full. */
  offer(jobs: readonly J[]): boolean;
  /** The next batch: the lane whose first job is oldest, its jobs in order, as many as fit. Empty when nothing waits. */
  take(): J[];
  /** Forgets a job that still waits. */
  cancel(job: J): void;
  /** How many images wait. */
  waiting(): number;
}

export function createBatcher<J extends Waiting>({ maxBatch, maxQueue }: Limits): Batcher<J> {
  const queue = new Set<J>();
  let images = 0;
  const remove = (job: J) => {
    if (queue.delete(job)) images -= job.images;
  };
  return {
    offer(jobs) {
      const more = jobs.reduce((sum, job) => sum + job.images, 0);
      if (images > 0 && images + more > maxQueue) return false;
      for (const job of jobs) queue.add(job);
      images += more;
      return true;
    },
    take() {
      const batch: J[] = [];
      let [lane, room] = ['', maxBatch];
      for (const job of queue) {
        if (batch.length > 0 && job.lane !== lane) continue;
        if (batch.length > 0 && job.images > room) break;
        batch.push(job);
        lane = job.lane;
        room -= job.images;
      }
      batch.forEach(remove);
      return batch;
    },
    cancel: remove,
    waiting: () => images,
  };
}

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
  const lanes = new Map<string, Set<J>>();
  let images = 0;
  const remove = (job: J) => {
    const lane = lanes.get(job.lane);
    if (!lane?.delete(job)) return;
    images -= job.images;
    if (lane.size === 0) lanes.delete(job.lane);
  };
  const oldestFirst = () => [...lanes.values()].sort((a, b) => firstOf(a).since - firstOf(b).since);
  return {
    add(jobs) {
      for (const job of jobs) {
        lanes.set(job.lane, (lanes.get(job.lane) ?? new Set()).add(job));
        images += job.images;
      }
    },
    putBack(jobs) {
      for (const job of [...jobs].reverse()) {
        lanes.set(job.lane, new Set([job, ...(lanes.get(job.lane) ?? [])]));
        images += job.images;
      }
    },
    take(now, most = Infinity) {
      for (const lane of oldestFirst()) {
        const { batch, full } = fill(lane, most);
        if (!full && now - batch[0]!.since < maxDelay) continue;
        batch.forEach(remove);
        return batch;
      }
      return [];
    },
    due: () => (lanes.size === 0 ? undefined : firstOf(oldestFirst()[0]!).since + maxDelay),
    cancel: remove,
    waiting: () => images,
  };
}

const firstOf = <J>(lane: Set<J>): J => lane.values().next().value!;

/** The first jobs of a lane that fit into a batch, and whether no other would. */
function fill<J extends Waiting>(lane: Set<J>, most: number): { batch: J[]; full: boolean } {
  const batch: J[] = [];
  let room = Math.min(firstOf(lane).limit, most);
  for (const job of lane) {
    if (batch.length > 0 && job.images > room) return { batch, full: true };
    batch.push(job);
    room -= job.images;
  }
  return { batch, full: room <= 0 };
}

/** Something that waits to be run. Only tasks of one lane can share a batch. */
export interface Queued {
  /** Which graph of which model. */
  readonly lane: string;
  readonly images: number;
  /** Images in a batch of this lane; a single task may be larger. */
  readonly limit: number;
  /** When it was queued, in milliseconds. */
  readonly since: number;
}

/** The queue, and the policy of what runs together and in which order. It knows no threads, no clock and no tensors. */
export interface Batcher<Q extends Queued> {
  add(tasks: readonly Q[]): void;
  /** Puts a task at the head of the queue. */
  putBack(task: Q): void;
  /**
   * Removes and returns the next batch: of the lane whose first task is oldest, its tasks in order, as many as fit.
   * Empty when nothing waits, or when no batch is full and none has waited for `maxDelay`.
   * @param most images in the batch, whatever the lane's limit
   */
  take(now: number, most?: number): Q[];
  /** When `take` will return a batch even if nothing is added; undefined when nothing waits. */
  due(): number | undefined;
  /** Removes those tasks that still wait. */
  remove(tasks: readonly Q[]): void;
  /** Images in the queue. */
  waiting(): number;
}

/** @param maxDelay milliseconds that a batch which is not full waits for more tasks */
export function createBatcher<Q extends Queued>(maxDelay: number): Batcher<Q> {
  /** In the order of arrival. */
  let queue: Q[] = [];
  const remove = (tasks: readonly Q[]) => {
    const removed = new Set(tasks);
    queue = queue.filter((task) => !removed.has(task));
  };
  return {
    add(tasks) {
      queue.push(...tasks);
    },
    putBack(task) {
      queue.unshift(task);
    },
    take(now, most = Infinity) {
      const notDue = new Set<string>();
      for (const first of queue) {
        if (notDue.has(first.lane)) continue;
        const { batch, full } = fill(first, queue, most);
        if (full || now - first.since >= maxDelay) {
          remove(batch);
          return batch;
        }
        notDue.add(first.lane);
      }
      return [];
    },
    due: () => queue[0] && queue[0].since + maxDelay,
    remove,
    waiting: () => queue.reduce((sum, { images }) => sum + images, 0),
  };
}

/** The first tasks of a lane that fit into a batch, and whether the batch is full. */
function fill<Q extends Queued>({ lane, limit }: Q, queue: readonly Q[], most: number): { batch: Q[]; full: boolean } {
  const batch: Q[] = [];
  let room = Math.min(limit, most);
  for (const task of queue) {
    if (task.lane !== lane) continue;
    if (batch.length > 0 && task.images > room) return { batch, full: true };
    batch.push(task);
    room -= task.images;
    if (room <= 0) return { batch, full: true };
  }
  return { batch, full: false };
}

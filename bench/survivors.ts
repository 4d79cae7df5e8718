import { seeded } from '../export/data/random.js';
import { readMetrics } from './metrics.js';
import { type Server, startServer, withServer } from './server.js';
import { openSurroundings } from './soak/around.js';
import { kinds } from './soak/kinds.js';
import { readable } from './statistics.js';

/** Requests of a kind before and while memory is looked at, and how many come between two looks. */
const BEFORE = 100;
const REQUESTS = 500;
const BETWEEN = 50;
const SEED = 1;
/** They take seconds each. */
const SLOW = ['slow client'];

/**
 * What requests of each kind, one after another, leave in V8's old memory until its next full collection of garbage. Such a
 * collection holds up everybody: the less is left, the rarer it is.
 */
export const survivors = (): AsyncGenerator<object> => withServer(startServer(['--log-level', 'error']), measure);

async function* measure(server: Server): AsyncGenerator<object> {
  const around = await openSurroundings(server, 1);
  for (const [kind, { run }] of Object.entries(kinds)) {
    if (SLOW.includes(kind)) continue;
    let number = 0;
    const some = async (count: number) => {
      for (const end = number + count; number < end; number++) {
        const { wrong } = await run(around, seeded(SEED, number));
        if (wrong !== undefined) throw new Error(`${kind}: ${wrong}`);
      }
    };
    await some(BEFORE);
    let [bytes, requests, collections] = [0, 0, 0];
    for (let before = await memory(server); number < BEFORE + REQUESTS; ) {
      await some(BETWEEN);
      const after = await memory(server);
      collections += after.collections - before.collections;
      // A collection takes away what earlier requests have left.
      if (after.collections === before.collections) {
        bytes += after.old - before.old;
        requests += BETWEEN;
      }
      before = after;
    }
    yield { kind, requests, collections, ...readable({ kilobytesARequest: bytes / 1000 / requests }) };
  }
  await around.pool.destroy();
}

/** Bytes that are used of V8's old memory, and full collections so far. */
async function memory({ base }: Server): Promise<{ old: number; collections: number }> {
  const read = await readMetrics(base);
  const used = (space: string) => read(`nodejs_heap_space_size_used_bytes{space="${space}"}`);
  return {
    old: used('old') + used('large_object'),
    collections: read('nodejs_gc_duration_seconds_count{kind="major"}'),
  };
}

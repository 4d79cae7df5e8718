import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';

const execute = promisify(execFile);
const heap = new URL('../../../src/common/heap.js', import.meta.url);

/**
 * Keeps some 20 MB of small objects and replaces one after the other, so that each is old before it is garbage. Prints the
 * most that V8 let lie beyond what is alive, as a share of that.
 */
const CHURN = `
  import { getHeapSpaceStatistics } from 'node:v8';
  const used = () => getHeapSpaceStatistics().find((space) => space.space_name === 'old_space').space_used_size;
  const alive = [];
  let [turn, alone, most] = [0, 0, 0];
  for (; turn < 20; turn++) {
    for (let i = 0; i < 400_000; i++) {
      alive[i] = { turn, half: i / 2 };
      if (turn > 0 && i % 10_000 === 0) most = Math.max(most, used());
    }
    if (turn === 0) { gc(); alone = used(); }
  }
  console.log(most / alone - 1);
`;

const growth = async (before: string): Promise<number> => {
  const script = `${before}\n${CHURN}`;
  const { stdout } = await execute(process.execPath, ['--expose-gc', '--input-type=module', '--eval', script]);
  return Number(stdout);
};

const from = (calls: string) => `import { boundHeap, putOffCollections } from '${heap}'; boundHeap(); ${calls}`;

t.test(
  'less garbage lies about than V8 would let lie, but more where collections are put off for a while',
  async (t) => {
    const [alone, bounded] = [await growth(''), await growth(from(''))];
    t.ok(bounded < 0.7 * alone, `${bounded} of ${alone}`);
    const putOff = await growth(from('putOffCollections(60);'));
    t.ok(putOff > 1.2 * bounded, `${putOff}, put off, of ${bounded}`);
    const over = await growth(from('putOffCollections(0.01); await new Promise((over) => setTimeout(over, 100));'));
    t.ok(over < 0.85 * putOff, `${over}, when that is over, of ${putOff}`);
  },
);

/**
 * Does the same with so many objects, in turns of the loop. Prints the megabytes that are alive, and those in use before a
 * collection: the median, without the first turns.
 */
const steady = (objects: number) => `
  import { getHeapSpaceStatistics } from 'node:v8';
  const used = () => getHeapSpaceStatistics().find((space) => space.space_name === 'old_space').space_used_size / 1e6;
  const alive = [];
  const before = [];
  let last = 0;
  for (let turn = 0; turn < 14; turn++) {
    for (let i = 0; i < ${objects}; i++) {
      alive[i] = { turn, half: i / 2 };
      if (i % 5000 > 0) continue;
      const now = used();
      if (turn > 3 && now < last - 8) before.push(last);
      last = now;
      await new Promise((next) => setTimeout(next, 1));
    }
  }
  gc();
  console.log(JSON.stringify({ alive: used(), before: before.sort((a, b) => a - b)[before.length >> 1] }));
  alive.pop(); // Used until here, so that V8 keeps it.
`;

t.test('the heap is collected when it is full, whatever is alive below half of that', async (t) => {
  const [few, more] = await Promise.all(
    [400_000, 500_000].map(async (objects) => {
      const script = `${from('')}\n${steady(objects)}`;
      const { stdout } = await execute(process.execPath, ['--expose-gc', '--input-type=module', '--eval', script]);
      return JSON.parse(stdout) as { alive: number; before: number };
    }),
  );
  t.ok(more!.alive > 1.15 * few!.alive, `${few!.alive} and ${more!.alive} MB are alive`);
  t.ok(few!.before > 2.5 * few!.alive, `collected at ${few!.before} MB where ${few!.alive} are alive`);
  t.ok(more!.before < 1.1 * few!.before, `collected at ${more!.before} MB where ${more!.alive} are alive`);
});

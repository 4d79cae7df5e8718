import t from 'tap';
import { createBatcher } from '../../../src/engine/batcher.js';

const task = (lane: string, images: number, since: number, limit = 4) => ({ lane, images, limit, since });
type Task = ReturnType<typeof task>;
const times = (tasks: readonly Task[]) => tasks.map(({ since }) => since);

t.test('a batch has the oldest lane, its tasks in order, as many as fit', async (t) => {
  const batcher = createBatcher<Task>(0);
  t.same(batcher.take(0), [], 'nothing waits');
  batcher.add([task('a', 2, 1), task('b', 1, 2), task('a', 1, 3), task('a', 2, 4), task('a', 1, 5)]);
  t.equal(batcher.waiting(), 7);
  t.same(times(batcher.take(9)), [1, 3], 'the fourth does not fit, and is not overtaken');
  t.same(times(batcher.take(9)), [2]);
  t.same(times(batcher.take(9)), [4, 5]);
  t.same(times(batcher.take(9)), []);
  t.equal(batcher.waiting(), 0);
  batcher.add([task('a', 9, 6), task('a', 1, 7)]);
  t.same(times(batcher.take(9)), [6], 'a task above the limit runs alone');
});

t.test('a batch has at most as many images as the caller asks for', async (t) => {
  const batcher = createBatcher<Task>(0);
  batcher.add([task('a', 1, 1), task('a', 1, 2), task('a', 1, 3)]);
  t.same(times(batcher.take(9, 2)), [1, 2]);
  t.same(times(batcher.take(9, 2)), [3]);
});

t.test('tasks that are removed do not run; one that is put back is first', async (t) => {
  const batcher = createBatcher<Task>(0);
  const tasks = [task('a', 4, 1), task('a', 1, 2), task('a', 1, 3)];
  batcher.add(tasks);
  const [first] = batcher.take(9);
  batcher.remove([tasks[1]!, first!]);
  batcher.remove([tasks[1]!]);
  t.equal(batcher.waiting(), 1);
  batcher.putBack(first!);
  t.equal(batcher.waiting(), 5);
  t.same(times(batcher.take(9)), [1]);
  t.same(times(batcher.take(9)), [3]);
});

t.test('with a delay, a batch is taken when it is full or its delay is over', async (t) => {
  const batcher = createBatcher<Task>(10);
  t.equal(batcher.due(), undefined);
  batcher.add([task('a', 2, 100), task('b', 1, 101)]);
  t.same(batcher.take(105), []);
  t.equal(batcher.due(), 110);
  batcher.add([task('b', 3, 106)]);
  t.same(times(batcher.take(107)), [101, 106], 'a full lane does not wait for an older one');
  t.same(times(batcher.take(110)), [100]);
});

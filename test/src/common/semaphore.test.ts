import { getEventListeners } from 'node:events';
import { setImmediate as settled } from 'node:timers/promises';
import t from 'tap';
import { type Deferred, deferred } from '../../../src/common/deferred.js';
import { Semaphore } from '../../../src/common/semaphore.js';

/** Tasks that record when they begin, and end when they are told to. */
function tasks(semaphore: Semaphore) {
  const begun: string[] = [];
  const ends = new Map<string, Deferred<string>>();
  const run = (name: string, signal?: AbortSignal) => {
    const end = deferred<string>();
    ends.set(name, end);
    return semaphore.run(() => {
      begun.push(name);
      return end.promise;
    }, signal);
  };
  return { begun, run, ends };
}

t.test('tasks beyond the slots wait in order; a task that fails frees its slot', async (t) => {
  const { begun, run, ends } = tasks(new Semaphore(2));
  const results = ['a', 'b', 'c', 'd'].map((name) => run(name));
  t.same(begun, ['a', 'b']);
  ends.get('b')!.reject(new Error('of b'));
  await t.rejects(results[1]!, { message: 'of b' });
  await settled();
  t.same(begun, ['a', 'b', 'c']);
  for (const name of ['a', 'c', 'd']) ends.get(name)!.resolve(`of ${name}`);
  t.same(await Promise.all([results[0], results[2], results[3]]), ['of a', 'of c', 'of d']);
  t.same(begun, ['a', 'b', 'c', 'd']);
  run('e');
  run('f');
  run('g');
  t.same(begun.slice(4), ['e', 'f'], 'both slots are free again');
});

t.test('a task that is aborted while it waits is rejected at once and never runs', async (t) => {
  const { begun, run, ends } = tasks(new Semaphore(1));
  const [before, waiting, running] = [new AbortController(), new AbortController(), new AbortController()];
  const gone = new Error('gone');
  before.abort(gone);
  await t.rejects(run('aborted before', before.signal), gone);
  const first = run('first', running.signal);
  const second = run('second', waiting.signal);
  const third = run('third', running.signal);
  waiting.abort(gone);
  await t.rejects(second, gone, 'while the first still runs');
  t.same(begun, ['first']);
  ends.get('first')!.resolve('1');
  t.equal(await first, '1');
  await settled();
  t.same(begun, ['first', 'third']);
  t.same(getEventListeners(running.signal, 'abort'), [], 'a task that has begun does not listen any more');
  running.abort(gone);
  ends.get('third')!.resolve('3');
  t.equal(await third, '3', 'a task that runs is not interrupted');
});

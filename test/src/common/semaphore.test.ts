import t from 'tap';
import { type Deferred, deferred } from '../../../src/common/deferred.js';
import { Turns } from '../../../src/common/semaphore.js';
import { Canceller } from '../../../src/common/work.js';

/** Tasks that note when they begin, and end when they are told. */
function tasks(turns: Turns) {
  const begun: string[] = [];
  const ends = new Map<string, Deferred<string>>();
  const run = (name: string, cancellation?: Canceller) => {
    const end = deferred<string>();
    ends.set(name, end);
    return turns.run(() => {
      begun.push(name);
      return end.promise;
    }, cancellation);
  };
  return { begun, run, ends };
}

const settled = () => new Promise(setImmediate);

t.test('some at once, the others in their order, also after one that fails', async (t) => {
  const { begun, run, ends } = tasks(new Turns(2));
  const results = ['a', 'b', 'c', 'd'].map((name) => run(name));
  t.same(begun, ['a', 'b']);
  ends.get('b')!.reject(new Error('of b'));
  await t.rejects(results[1]!, { message: 'of b' });
  t.same(begun, ['a', 'b', 'c']);
  for (const name of ['a', 'c', 'd']) ends.get(name)!.resolve(`of ${name}`);
  t.same(await Promise.all([results[0], results[2], results[3]]), ['of a', 'of c', 'of d']);
  t.same(begun, ['a', 'b', 'c', 'd']);
  run('e');
  run('f');
  run('g');
  t.same(begun.slice(4), ['e', 'f'], 'turns are given back');
});

t.test('what nobody waits for any more is told so at once and never runs', async (t) => {
  const { begun, run, ends } = tasks(new Turns(1));
  const [before, waiting, under] = [new Canceller(), new Canceller(), new Canceller()];
  const gone = new Error('gone');
  before.cancel(gone);
  await t.rejects(run('cancelled before', before), gone);
  const first = run('first', under);
  const second = run('second', waiting);
  const third = run('third');
  waiting.cancel(gone);
  await t.rejects(second, gone, 'while the first still runs');
  under.cancel(gone);
  await settled();
  t.same(begun, ['first'], 'what runs is not interrupted');
  ends.get('first')!.resolve('1');
  t.equal(await first, '1');
  await settled();
  t.same(begun, ['first', 'third']);
  ends.get('third')!.resolve('3');
  t.equal(await third, '3');
});

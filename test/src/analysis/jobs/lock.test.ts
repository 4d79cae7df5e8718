import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { lockFolder } from '../../../../src/analysis/jobs/lock.js';

const never = () => t.fail('no lock is lost');

t.test('a folder has one holder at a time', async (t) => {
  const folder = t.testdir();
  const first = await lockFolder(folder, never);
  await t.rejects(lockFolder(folder, never), {
    name: 'ExitError',
    reason: 'in-use',
    message: `${folder} is used by another service (process ${process.pid} on `,
  });
  first.release();
  const second = await lockFolder(folder, never);
  second.release();
});

t.test('the lock of a holder that died is taken, by one of those who want it', async (t) => {
  const folder = t.testdir({ 'lock.json': '{"host":"elsewhere","pid":1,"id":"x"}' });
  const found = await Promise.allSettled([lockFolder(folder, never), lockFolder(folder, never)]);
  t.same(found.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  for (const one of found) if (one.status === 'fulfilled') one.value.release();
});

t.test('a holder learns that its lock was taken, and leaves the new one alone', async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'lock.json');
  let lost = false;
  const lock = await lockFolder(folder, () => {
    lost = true;
  });
  writeFileSync(path, 'of another');
  while (!lost) await sleep(50);
  lock.release();
  t.equal(readFileSync(path, 'utf8'), 'of another');
});

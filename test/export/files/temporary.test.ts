import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { beside, removeUnfinished } from '../../../export/files/temporary.js';

t.test('what a callback leaves unfinished is removed', async (t) => {
  const folder = t.testdir();
  await t.rejects(
    beside(join(folder, 'model'), async (temporary) => {
      await writeFile(temporary, 'half');
      throw new Error('disk full');
    }),
    { message: 'disk full' },
  );
  t.same(await readdir(folder), []);
});

t.test('an unfinished folder is removed while files are being written into it', async (t) => {
  const folder = t.testdir();
  const data = Buffer.alloc(100_000);
  for (let round = 0; round < 30; round++) {
    await beside(join(folder, `model-${round}`), async (temporary) => {
      await mkdir(temporary);
      // More writes than threads do them: some are under way when the folder is removed, and fail for want of it.
      const writes = Array.from({ length: 200 }, (_, i) => writeFile(join(temporary, `${i}`), data));
      const settled = Promise.allSettled(writes);
      await writes[round];
      removeUnfinished();
      t.same(await readdir(folder), []);
      await settled;
    });
  }
});

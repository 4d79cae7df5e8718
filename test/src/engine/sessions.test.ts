import t from 'tap';
import { tensor } from '../../../export/graph/tensor.js';
import type { Session } from '../../../export/runtime/session.js';
import { bucketFor, padded } from '../../../src/engine/padding.js';
import type { Edition } from '../../../src/engine/protocol.js';
import { createSessionCache, openPerSize } from '../../../src/engine/sessions.js';

t.test('batches are padded up to a bucket, and their results cut back', async (t) => {
  t.same(
    [1, 2, 8, 9, 65].map((images) => bucketFor([1, 8, 64], images)),
    [1, 8, 8, 64, 65],
  );
  const seen: number[][] = [];
  const run = padded(
    {
      async run({ x }) {
        seen.push([...x!.dims, ...(x!.data as Float32Array)]);
        return { y: x! };
      },
    },
    [4],
  );
  const x = tensor('float32', [2, 2], [1, 2, 3, 4]);
  t.same((await run({ x })).y, x);
  t.same(seen, [[4, 2, 1, 2, 3, 4, 3, 4, 3, 4]], 'the last row is repeated');
});

const images = (count: number) => ({ x: tensor('float32', [count, 1], new Float32Array(count)) });

t.test('each size of batch has a session of its own', async (t) => {
  const log: string[] = [];
  const open = async (size: number) => {
    if (size > 8) throw new Error('out of memory');
    const run = async () => log.push(`${size} runs`);
    const release = async () => log.push(`${size} is released`);
    return { run, release } as object as Session;
  };
  const opened = await openPerSize([1, 8], open);
  for (const count of [8, 1, 8]) await opened.run(images(count));
  await t.rejects(opened.run(images(3)), { message: 'a batch of 3 images, where one of 1, 8 was expected' });
  await opened.release();
  t.same(log, ['8 runs', '1 runs', '8 runs', '1 is released', '8 is released']);
  await t.rejects(openPerSize([1, 64], open), { message: 'out of memory' });
  t.same(log.slice(5), ['1 is released'], 'none is left open');
});

t.test('a graph is loaded once, and a batch that waits for it says so', async (t) => {
  const log: string[] = [];
  const files = { 'weights.bin': { bytes: 1 } };
  const edition = (name: string) =>
    ({ id: name, folder: '', buckets: [], manifest: { name, files } }) as object as Edition;
  const loadGraph = async ({ id }: Edition, graph: string) => {
    log.push(`load ${id} ${graph}`);
    if (id === 'broken' || graph === 'inverse') throw new Error('no memory');
    return { run: async () => ({}), release: async () => void log.push(`release ${id}`) };
  };
  const sessions = createSessionCache('forward', loadGraph, {
    loadingGraph: () => log.push('loading'),
    loadedGraph: () => log.push('loaded'),
  });
  const run = (model: string, graph: 'forward' | 'inverse') =>
    sessions.run({ model, graph, input: images(1).x, outputs: ['image'] });
  await sessions.load(edition('m'));
  await sessions.load(edition('m'));
  t.same(log.splice(0), ['load m forward']);
  await run('m', 'forward');
  t.same(log.splice(0), []);
  await t.rejects(Promise.all([run('m', 'inverse'), run('m', 'inverse')]), { message: 'no memory' });
  t.same(log.splice(0), ['load m inverse', 'loading', 'loading', 'loaded', 'loaded']);
  await t.rejects(sessions.load(edition('broken')), { message: 'no memory' });
  t.same(log.splice(0), ['load broken forward']);
  await t.rejects(run('broken', 'forward'), { message: 'the model broken is not loaded' });
  await sessions.load(edition('n'));
  await sessions.unload('m');
  t.same(log.splice(0), ['load n forward', 'release m']);
  await t.rejects(run('m', 'forward'), { message: 'the model m is not loaded' });
  await sessions.close();
  t.same(log, ['release n']);
});

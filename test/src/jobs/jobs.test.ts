import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { readTensor } from '../../../export/formats/read.js';
import { COUNT, filesIn, imageName, linesOf, mergeIn, places, run } from '../../helpers/batch.js';

const partsIn = async (output: string) => (await readdir(join(output, 'parts'))).sort();
const timesOf = (output: string, parts: readonly string[]) =>
  Promise.all(parts.map(async (part) => (await stat(join(output, 'parts', part))).mtimeMs));

t.test('the merged bytes do not depend on shards, their order, parts, batches, aborts and damage', async (t) => {
  const { folder, input } = await places(t);
  const task = 'encode';
  const whole = join(folder, 'whole');
  t.match(await run({ task, input, output: whole }), {
    ...{ operation: 'encode', shard: '0/1', outcome: 'finished' },
    ...{ inputs: COUNT, computed: COUNT, kept: 0, bad: 0 },
  });
  t.match(await mergeIn(whole), { inputs: COUNT, rows: COUNT, bad: 0, errors: {} });
  const expected = await filesIn(join(whole, 'merged'));
  t.same(Object.keys(expected), ['features.safetensors', 'index.jsonl', 'moments.safetensors', 'summary.json']);
  t.same(readTensor(expected['features.safetensors']!).dims, [COUNT, 256, 2, 2]);
  t.same(
    await linesOf(join(whole, 'merged', 'index.jsonl')),
    Array.from({ length: COUNT }, (_, i) => ({ id: imageName(i), row: i })),
  );

  await t.test('three shards in any order, at the same time', async (t) => {
    const output = join(folder, 'three');
    const settings = { maxBatch: '4' };
    const shards = [2, 0, 1].map((index) =>
      run({ task, input, output, part: 9, shard: { index, of: 3 } }, { settings }),
    );
    t.same(
      (await Promise.all(shards)).map(({ inputs, computed }) => [inputs, computed]),
      [
        [13, 13],
        [9, 9],
        [18, 18],
      ],
    );
    await mergeIn(output);
    t.same(await filesIn(join(output, 'merged')), expected);
    await mergeIn(output);
    t.same(await filesIn(join(output, 'merged')), expected, 'another merge changes nothing');
    t.same((await readdir(output)).sort(), ['merged', 'parts', 'plan.json']);
  });

  await t.test('more shards than parts: some are empty and finish at once', async (t) => {
    const output = join(folder, 'many');
    const shards = [];
    for (let index = 0; index < 5; index++)
      shards.push(await run({ task, input, output, part: 16, shard: { index, of: 5 } }));
    t.same(
      shards.map(({ outcome, inputs, computed }) => [outcome, inputs, computed]),
      [0, 16, 0, 16, 8].map((inputs) => ['finished', inputs, inputs]),
    );
    await mergeIn(output);
    t.same(await filesIn(join(output, 'merged')), expected);
  });

  await t.test('an aborted run keeps complete parts; the next computes what is missing or damaged', async (t) => {
    const output = join(folder, 'aborted');
    const job = { task, input, output, part: 4 } as const;
    const settings = { maxBatch: '2' };
    const stop = new AbortController();
    const watcher = { begin: () => undefined, step: () => stop.abort() };
    const first = await run(job, { settings, signal: stop.signal, watcher });
    const kept = await partsIn(output);
    t.match(first, { outcome: 'interrupted', inputs: COUNT, computed: 4 * kept.length });
    t.ok(kept.length > 0 && kept.length < COUNT / 4);
    await t.rejects(mergeIn(output), /^\d+ of 10 parts of .* are missing, the first with inputs \d+ to \d+;/);
    t.notOk((await readdir(output)).includes('merged'));
    // The remains of a killed run, and a part whose file lost its end.
    await mkdir(join(output, 'parts', '00008.0123456789ab.tmp'));
    await writeFile(join(output, 'parts', kept[0]!, 'features.safetensors'), 'x');
    const times = await timesOf(output, kept.slice(1));
    const done = 4 * (kept.length - 1);
    t.match(await run(job, { settings }), { outcome: 'finished', kept: done, computed: COUNT - done });
    t.same(await timesOf(output, kept.slice(1)), times, 'complete parts are not touched');
    t.same(
      await partsIn(output),
      Array.from({ length: 10 }, (_, k) => `0000${k}`),
    );
    const all = await timesOf(output, await partsIn(output));
    t.match(await run(job, { settings }), { outcome: 'finished', kept: COUNT, computed: 0, seconds: 0 });
    t.same(await timesOf(output, await partsIn(output)), all, 'nothing is written when nothing is missing');
    await mergeIn(output);
    t.same(await filesIn(join(output, 'merged')), expected);
  });

  await t.test('shards of different numbers continue each other', async (t) => {
    const output = join(folder, 'mixed');
    t.match(await run({ task, input, output, part: 8, shard: { index: 1, of: 2 } }), { computed: 24 });
    t.match(await run({ task, input, output, part: 8, shard: { index: 2, of: 3 } }), { kept: 16, computed: 0 });
    t.match(await run({ task, input, output, part: 8 }), { kept: 24, computed: 16 });
    await mergeIn(output);
    t.same(await filesIn(join(output, 'merged')), expected);
  });
});

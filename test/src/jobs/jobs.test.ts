import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { readTensor } from '../../../src/tensor/read.js';
import { batch, COUNT, filesIn, imageName, linesOf, places } from '../../helpers/batch.js';
import { finished, startCli } from '../../helpers/cli.js';

t.test('any number of shards, of parts and of batches gives the same bytes', async (t) => {
  const { folder, input } = await places(t);
  const [one, three] = [join(folder, 'one'), join(folder, 'three')];
  const whole = await batch('encode', '--input', input, '--output', one);
  t.match(whole, { code: 0, summary: { shard: '0/1', inputs: COUNT, computed: COUNT, kept: 0, bad: 0 } });
  const flags = ['--part', '9', '--max-batch', '4', '--workers', '1', '--readers', '2'];
  const shards = await Promise.all(
    [2, 0, 1].map((i) => batch('encode', '--input', input, '--output', three, '--shard', `${i}/3`, ...flags)),
  );
  t.same(
    shards.map(({ code, summary }) => [code, summary.inputs]),
    [
      [0, 34],
      [0, 33],
      [0, 33],
    ],
  );
  for (const output of [one, three]) t.match(await batch('merge', output), { code: 0, summary: { rows: COUNT } });
  const [a, b] = [await filesIn(join(one, 'merged')), await filesIn(join(three, 'merged'))];
  t.same(Object.keys(a), ['features.safetensors', 'index.jsonl', 'moments.safetensors', 'summary.json']);
  t.same(b, a);
  t.same(readTensor(a['features.safetensors']!).dims, [COUNT, 256, 2, 2]);
  t.same(
    await linesOf(join(one, 'merged', 'index.jsonl')),
    Array.from({ length: COUNT }, (_, i) => ({ id: imageName(i), row: i })),
  );
  t.equal((await batch('merge', three)).code, 0);
  t.same(await filesIn(join(three, 'merged')), a, 'merging again changes nothing');
  t.same((await readdir(three)).sort(), ['merged', 'shards']);
});

/** Starts an encoding of parts of four images, and waits until two are there. */
async function begun(input: string, output: string) {
  const args = ['encode', '--input', input, '--output', output, '--part', '4', '--max-batch', '2', '--workers', '1'];
  const child = startCli(['batch', ...args]);
  const ended = finished(child);
  const shard = join(output, 'shards', '0-of-1');
  while (!existsSync(join(shard, 'part-00001')) && child.exitCode === null) await sleep(2);
  return { args, child, ended, shard };
}

const partsIn = async (shard: string) => (await readdir(shard)).filter((name) => /^part-\d{5}$/.test(name));
const timesOf = (shard: string, parts: readonly string[]) =>
  Promise.all(parts.map(async (part) => (await stat(join(shard, part))).mtimeMs));

t.test('after SIGKILL only what is missing is done, and the result is the same', async (t) => {
  const { folder, input, output } = await places(t);
  const { args, child, shard } = await begun(input, output);
  child.kill('SIGKILL');
  await once(child, 'close');
  const kept = await partsIn(shard);
  t.ok(kept.length >= 2 && kept.length < COUNT / 4, `${kept.length} parts were there`);
  t.notOk(existsSync(join(shard, 'shard.json')));
  const times = await timesOf(shard, kept);
  // One that a run was writing, and one whose bytes were lost.
  await mkdir(join(shard, 'part-00020.0123456789ab.tmp'));
  await writeFile(join(shard, kept[1]!, 'features.safetensors'), 'x');
  t.match(await batch('merge', output), { code: 1, stderr: /shard 0 of 1 is not finished, \d+ of its 25 parts/ });
  const again = await batch(...args);
  t.match(again, { code: 0, summary: { kept: 4 * (kept.length - 1), computed: COUNT - 4 * (kept.length - 1) } });
  const others = kept.filter((_, i) => i !== 1);
  t.same(
    await timesOf(shard, others),
    times.filter((_, i) => i !== 1),
    'whole parts are not touched',
  );
  t.notOk((await readdir(shard)).some((name) => /\.(tmp|old)$/.test(name)));
  const whole = join(folder, 'whole');
  await batch('encode', '--input', input, '--output', whole);
  for (const folder of [output, whole]) t.equal((await batch('merge', folder)).code, 0);
  t.same(await filesIn(join(output, 'merged')), await filesIn(join(whole, 'merged')));
  const files = await timesOf(shard, await readdir(shard));
  t.match(await batch(...args), { code: 0, summary: { kept: COUNT, computed: 0 } });
  t.same(await timesOf(shard, await readdir(shard)), files, 'nothing is written when nothing is missing');
});

t.test('a signal ends it with whole parts', async (t) => {
  const { input, output } = await places(t, 200);
  const { args, child, ended, shard } = await begun(input, output);
  child.kill('SIGTERM');
  t.match(await ended, { code: 130, stdout: /^encode 0\/1 interrupted: \d+ of 200 inputs/, stderr: /stopping/ });
  const names = await readdir(shard);
  t.notOk(names.some((name) => name.endsWith('.tmp')) || names.includes('shard.json'));
  const kept = 4 * (await partsIn(shard)).length;
  t.match(await batch(...args), { code: 0, summary: { outcome: 'finished', kept, computed: 200 - kept } });
});

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { readTensor } from '../../src/tensor/read.js';
import { batch, filesIn, imageName, images, linesOf, writeImages } from '../helpers/batch.js';
import { finished, startCli } from '../helpers/cli.js';
import { greyPixels } from '../helpers/images.js';

const COUNT = 100;

/** A folder with images, and a place for results beside it. */
async function places(t: Test, count = COUNT) {
  const folder = t.testdir({ images: {} });
  const input = join(folder, 'images');
  await writeImages(input, count);
  return { folder, input, output: join(folder, 'out') };
}

const pixelsOf = (i: number) => Buffer.from(images.pixels.subarray(i * 784, (i + 1) * 784));

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

t.test('bad images are recorded and left out; the exit code follows the policy', async (t) => {
  const { input, output } = await places(t, 6);
  const whole = await readFile(join(input, imageName(1)));
  await writeFile(join(input, imageName(1)), '');
  await writeFile(join(input, imageName(3)), whole.subarray(0, 200));
  await symlink('nowhere', join(input, '0031.png'));
  await mkdir(join(input, 'below', '.hidden'), { recursive: true });
  await writeFile(join(input, 'below', 'text.JPG'), 'no image at all');
  await writeFile(join(input, 'below', '.hidden', 'a.png'), whole);
  await writeFile(join(input, 'notes.txt'), 'no image either');
  const args = ['encode', '--input', input, '--output', output, '--max-batch', '3'];
  t.match(await batch(...args), { code: 28, summary: { outcome: 'finished', inputs: 8, bad: 4 } });
  t.match(await batch(...args, '--max-errors', '4'), { code: 0, summary: { computed: 0, bad: 4 } });
  t.match(await batch('merge', output, '--max-errors', '3'), { code: 28, summary: { rows: 4, bad: 4 } });
  t.match(await linesOf(join(output, 'merged', 'index.jsonl')), [
    { id: '000.png', row: 0 },
    { id: '001.png', error: 'body-empty', detail: /empty/ },
    { id: '002.png', row: 1 },
    { id: '003.png', error: 'image-truncated', detail: /200 bytes/ },
    { id: '0031.png', error: 'file-unreadable', detail: /ENOENT/ },
    { id: '004.png', row: 2 },
    { id: '005.png', row: 3 },
    { id: 'below/text.JPG', error: 'not-an-image' },
  ]);
  t.match(JSON.parse(await readFile(join(output, 'merged', 'summary.json'), 'utf8')), {
    errors: { 'body-empty': 1, 'file-unreadable': 1, 'image-truncated': 1, 'not-an-image': 1 },
  });
  const features = readTensor(await readFile(join(output, 'merged', 'features.safetensors')));
  const alone = join(t.testdirName, 'alone');
  await writeFile(join(t.testdirName, 'list.txt'), `images/${imageName(4)}\n\n`);
  await batch('encode', '--input', join(t.testdirName, 'list.txt'), '--output', alone, '--format', 'npy');
  await batch('merge', alone);
  const { data } = readTensor(await readFile(join(alone, 'merged', 'features.npy')));
  t.same(features.data.slice(2 * 1024, 3 * 1024), data, 'rows are those of the images that are good');
});

t.test('encode and invert give every pixel back, from shards and from what was merged', async (t) => {
  const { folder, input, output } = await places(t, 20);
  await writeFile(join(input, imageName(7)), 'bad');
  const flags = ['--part', '6', '--max-errors', '1'];
  for (const i of [0, 1]) await batch('encode', '--input', input, '--output', output, '--shard', `${i}/2`, ...flags);
  const back = async (name: string, ...more: string[]) => {
    const inverted = join(folder, name);
    t.match(await batch('invert', '--input', output, '--output', inverted, ...more), { code: 0 });
    t.match(await batch('merge', inverted), { code: 0, summary: { rows: 19 } });
    return join(inverted, 'merged');
  };
  const first = await back('first', '--part', '8');
  const index = await linesOf(join(first, 'index.jsonl'));
  t.equal(index.length, 19);
  for (const { id, file } of index) {
    t.same(await greyPixels(await readFile(join(first, `${file}`))), pixelsOf(Number.parseInt(`${id}`, 10)), `${id}`);
  }
  t.equal(index[8]!.file, 'images/000000/000000008.png');
  await batch('merge', output, '--max-errors', '1');
  t.same(await filesIn(join(await back('second'), 'images')), await filesIn(join(first, 'images')));
  const third = await back('third', '--format', 'npy');
  t.same(readTensor(await readFile(join(third, 'image.npy'))).dims, [19, 1, 28, 28]);
});

t.test('files of features are inverted row by row', async (t) => {
  const { folder, input, output } = await places(t, 3);
  await batch('encode', '--input', input, '--output', output, '--format', 'npy');
  await batch('merge', output);
  const features = join(folder, 'features');
  await mkdir(features);
  const three = await readFile(join(output, 'merged', 'features.npy'));
  await writeFile(join(features, 'b.npy'), three);
  const { data } = readTensor(three);
  const one = { shape: [1, 256, 2, 2], data: [...data.subarray(1024, 2048)] };
  await writeFile(join(features, 'c.json'), JSON.stringify(one));
  await writeFile(join(features, 'a.json'), JSON.stringify({ ...one, shape: [1, 1024, 1, 1] }));
  await writeFile(join(features, 'd.npy'), three.subarray(0, 500));
  await writeFile(join(features, 'e.json'), JSON.stringify({ ...one, data: one.data.map(() => 3e38) }));
  const inverted = join(folder, 'inverted');
  t.match(await batch('invert', '--input', features, '--output', inverted), { code: 28, summary: { bad: 3 } });
  await batch('merge', inverted);
  const index = await linesOf(join(inverted, 'merged', 'index.jsonl'));
  t.match(index, [
    { id: 'a.json', error: 'features-shape' },
    { id: 'b.npy#0', file: /1\.png$/ },
    { id: 'b.npy#1', file: /2\.png$/ },
    { id: 'b.npy#2', file: /3\.png$/ },
    { id: 'c.json', file: /4\.png$/ },
    { id: 'd.npy', error: 'features-length' },
    { id: 'e.json', error: 'features-overflow' },
  ]);
  const pixels = (line: number) => readFile(join(inverted, 'merged', `${index[line]!.file}`)).then(greyPixels);
  for (const i of [0, 1, 2]) t.same(await pixels(1 + i), pixelsOf(i));
  t.same(await pixels(4), pixelsOf(1));
});

t.test('classify tells labels and counts them; a manifest gives names and order', async (t) => {
  const { folder, output } = await places(t, 5);
  const manifest = join(folder, 'list.jsonl');
  const lines = [4, 0, 2].map((i) => JSON.stringify({ id: `image ${i}`, path: `images/${imageName(i)}` }));
  await writeFile(manifest, `${lines.join('\n')}\n`);
  t.match(await batch('classify', '--input', manifest, '--output', output, '--top-k', '2'), { code: 0 });
  t.match(await batch('merge', output), { code: 0 });
  const index = await linesOf(join(output, 'merged', 'index.jsonl'));
  t.match(index[0], { id: 'image 4', path: `images/${imageName(4)}`, row: 0 });
  const top = index.map((line) => line.top as { label: string; probability: number }[]);
  t.ok(top.every(([first, second]) => first!.probability >= second!.probability));
  const { labels } = JSON.parse(await readFile(join(output, 'merged', 'summary.json'), 'utf8'));
  for (const label of new Set(top.map(([first]) => first!.label)))
    t.equal(labels[label], top.filter(([first]) => first!.label === label).length);
  t.equal((await readFile(join(output, 'merged', 'logits.safetensors'))).length % 8, 0);
});

t.test('what cannot be done is refused with what to do', async (t) => {
  const { folder, input, output } = await places(t, 4);
  const encode = (...args: string[]) => batch('encode', '--input', input, '--output', output, ...args);
  await mkdir(join(folder, 'empty'));
  await writeFile(join(folder, 'bad.jsonl'), '{"id": 1}\n');
  await encode('--shard', '1/2');
  const refused: [number, RegExp, Promise<{ code: number | null; stderr: string }>][] = [
    [2, /expected i\/n with i from 0 to n - 1/, encode('--shard', '2/2')],
    [2, /--part/, encode('--part', '0')],
    [1, /cannot be read \(ENOENT\)/, batch('encode', '--input', join(folder, 'no'), '--output', output)],
    [1, /has no files ending in .jpg/, batch('encode', '--input', join(folder, 'empty'), '--output', output)],
    [1, /line 1 of .*expected/, batch('encode', '--input', join(folder, 'bad.jsonl'), '--output', output)],
    [1, /lies in the input/, batch('encode', '--input', input, '--output', join(input, 'out'))],
    [1, /shards of 2; give --shard i\/2/, encode('--shard', '0/3')],
    [1, /format: "safetensors" there, "npy" here/, encode('--shard', '0/2', '--format', 'npy')],
    [1, /options: .*"auto".* there, .*"yes".* here/, encode('--shard', '1/2', '--invert', 'yes')],
    [1, /--top-k is 11; .* 10 labels/, batch('classify', '--input', input, '--output', output, '--top-k', '11')],
    [1, /at most \d+ inputs fit/, encode('--shard', '0/2', '--part', '99999999')],
    [20, /no model "nope"/, encode('--model', 'nope')],
    [22, /cannot be a folder/, batch('encode', '--input', input, '--output', join(folder, 'bad.jsonl', 'x'))],
    [1, /holds no shards/, batch('merge', join(folder, 'empty'))],
    [1, /shard 0 of 2 is missing: run it with --shard 0\/2/, batch('merge', output)],
    [1, /shard 0 of 2 is missing/, batch('invert', '--input', output, '--output', join(folder, 'inverted'))],
  ];
  for (const [code, message, ended] of refused) t.match(await ended, { code, stderr: message }, `${message}`);
  await writeFile(join(input, 'more.png'), '');
  t.match(await encode('--shard', '0/2'), { code: 1, stderr: /number of inputs: 4 there, 5 here/ });
});

t.test('a damaged part is not merged', async (t) => {
  const { input, output } = await places(t, 4);
  await batch('encode', '--input', input, '--output', output);
  const part = join(output, 'shards', '0-of-1', 'part-00000', 'features.safetensors');
  const bytes = await readFile(part);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(part, bytes);
  t.match(await batch('merge', output), { code: 1, stderr: /part-00000 is damaged; .*--shard 0\/1/ });
  t.same(await readdir(output), ['shards'], 'nothing half-merged is left');
  t.match(await batch('encode', '--input', input, '--output', output), { code: 0, summary: { computed: 4 } });
  t.equal((await batch('merge', output)).code, 0);
});

import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { readTensor } from '../../../export/formats/read.js';
import { listInputs } from '../../../src/jobs/inputs.js';
import { filesIn, imageName, linesOf, mergeIn, pixelsOf, places, run } from '../../helpers/batch.js';
import { greyPixels } from '../../helpers/images.js';

t.test('bad images are recorded in the index and have no row', async (t) => {
  const { folder, input, output } = await places(t, 6);
  const png = await readFile(join(input, imageName(1)));
  await writeFile(join(input, imageName(1)), '');
  await writeFile(join(input, imageName(3)), png.subarray(0, 200));
  await symlink('nowhere', join(input, '0031.png'));
  await mkdir(join(input, 'below', '.hidden'), { recursive: true });
  await writeFile(join(input, 'below', 'text.JPG'), 'no image at all');
  await writeFile(join(input, 'below', '.hidden', 'a.png'), png);
  await writeFile(join(input, 'notes.txt'), 'no image either');
  const job = { task: 'encode', input, output, part: 8 } as const;
  t.match(await run(job, { settings: { maxBatch: '3' } }), { outcome: 'finished', inputs: 8, computed: 8, bad: 4 });
  t.match(await run(job), { computed: 0, kept: 8, bad: 4 });
  const errors = { 'body-empty': 1, 'file-unreadable': 1, 'image-corrupt': 1, 'not-an-image': 1 };
  t.match(await mergeIn(output), { inputs: 8, rows: 4, bad: 4, errors });
  t.match(JSON.parse(await readFile(join(output, 'merged', 'summary.json'), 'utf8')), { rows: 4, bad: 4, errors });
  t.match(await linesOf(join(output, 'merged', 'index.jsonl')), [
    { id: '000.png', row: 0 },
    { id: '001.png', error: 'body-empty', detail: /empty/ },
    { id: '002.png', row: 1 },
    { id: '003.png', error: 'image-corrupt', detail: /PNG/ },
    { id: '0031.png', error: 'file-unreadable', detail: /ENOENT/ },
    { id: '004.png', row: 2 },
    { id: '005.png', row: 3 },
    { id: 'below/text.JPG', error: 'not-an-image' },
  ]);
  const features = readTensor(await readFile(join(output, 'merged', 'features.safetensors')));
  const [list, alone] = [join(folder, 'list.txt'), join(folder, 'alone')];
  await writeFile(list, `images/${imageName(4)}\n\n`);
  await run({ task: 'encode', input: list, output: alone, data: 'npy' });
  await mergeIn(alone);
  const { data } = readTensor(await readFile(join(alone, 'merged', 'features.npy')));
  t.same(features.data.slice(2 * 1024, 3 * 1024), data, 'row 2 has the features of 004.png');
});

t.test('encode and invert recover every pixel, before and after a merge', async (t) => {
  const { folder, input, output } = await places(t, 20);
  await writeFile(join(input, imageName(7)), 'bad');
  for (const index of [0, 1]) await run({ task: 'encode', input, output, part: 6, shard: { index, of: 2 } });
  const invert = async (name: string, more: Partial<Parameters<typeof run>[0]> = {}) => {
    const inverted = join(folder, name);
    await run({ task: 'invert', input: output, output: inverted, part: 8, ...more });
    t.match(await mergeIn(inverted), { rows: 19, bad: 0 });
    return join(inverted, 'merged');
  };
  const first = await invert('first');
  const index = await linesOf(join(first, 'index.jsonl'));
  t.equal(index.length, 19);
  for (const { id, file } of index) {
    t.same(await greyPixels(await readFile(join(first, `${file}`))), pixelsOf(Number.parseInt(`${id}`, 10)), `${id}`);
  }
  t.equal(index[8]!.file, 'images/009.png');
  await mergeIn(output);
  t.same(await filesIn(await invert('second')), await filesIn(first));
  const third = await invert('third', { data: 'npy' });
  t.same(readTensor(await readFile(join(third, 'image.npy'))).dims, [19, 1, 28, 28]);
});

t.test('files of features are inverted row by row', async (t) => {
  const { folder, input, output } = await places(t, 3);
  await run({ task: 'encode', input, output, data: 'npy' });
  await mergeIn(output);
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
  t.match(await run({ task: 'invert', input: features, output: inverted, part: 7 }), { inputs: 7, bad: 3 });
  await mergeIn(inverted);
  const index = await linesOf(join(inverted, 'merged', 'index.jsonl'));
  t.match(index, [
    { id: 'a.json', error: 'features-shape' },
    { id: 'b.npy#0', file: 'images/b-0.png' },
    { id: 'b.npy#1', file: 'images/b-1.png' },
    { id: 'b.npy#2', file: 'images/b-2.png' },
    { id: 'c.json', file: 'images/c.png' },
    { id: 'd.npy', error: 'features-length' },
    { id: 'e.json', error: 'features-overflow' },
  ]);
  const pixels = (line: number) => readFile(join(inverted, 'merged', `${index[line]!.file}`)).then(greyPixels);
  for (const i of [0, 1, 2]) t.same(await pixels(1 + i), pixelsOf(i));
  t.same(await pixels(4), pixelsOf(1));
});

t.test('classify records labels and counts them; a manifest gives names and order', async (t) => {
  const { folder, output } = await places(t, 5);
  const input = join(folder, 'list.jsonl');
  const lines = [4, 0, 2].map((i) => JSON.stringify({ id: `image ${i}`, path: `images/${imageName(i)}` }));
  await writeFile(input, `${lines.join('\n')}\n`);
  await run({ task: 'classify', input, output, topK: 2 });
  const { labels } = await mergeIn(output);
  const index = await linesOf(join(output, 'merged', 'index.jsonl'));
  t.match(index[0], { id: 'image 4', path: `images/${imageName(4)}`, row: 0 });
  const top = index.map((line) => line.top as { label: string; probability: number }[]);
  t.ok(top.every(([first, second]) => first!.probability >= second!.probability));
  for (const label of new Set(top.map(([first]) => first!.label)))
    t.equal(labels[label], top.filter(([first]) => first!.label === label).length);
  t.same(readTensor(await readFile(join(output, 'merged', 'logits.safetensors'))).dims, [3, 10]);
  t.notOk((await filesIn(join(output, 'merged')))['moments.safetensors'], 'logits have no moments');
});

t.test('a folder may hold more files than a call has arguments', async (t) => {
  const folder = t.testdir({
    leaf: Object.fromEntries(Array.from({ length: 1300 }, (_, i) => [`${i}.png`, ''])),
    many: {},
  });
  for (let i = 0; i < 100; i++) await symlink('../leaf', join(folder, 'many', `${i}`));
  const { items } = await listInputs(folder, 'images');
  t.equal(items.length, 101 * 1300);
  t.equal(items[0]!.id, 'leaf/0.png');
});

t.test('a link back to a folder that it lies in adds nothing', async (t) => {
  const folder = t.testdir({ root: { 'a.png': '', below: { 'b.png': '' } }, beside: { 'c.png': '' } });
  await symlink('.', join(folder, 'root', 'self'));
  await symlink('..', join(folder, 'root', 'below', 'up'));
  await symlink('../beside', join(folder, 'root', 'link'));
  await symlink('../root', join(folder, 'beside', 'back'));
  const ids = async (root: string) => (await listInputs(root, 'images')).items.map(({ id }) => id);
  t.same(await ids(join(folder, 'root')), ['a.png', 'below/b.png', 'link/c.png']);
  await symlink('root', join(folder, 'entry'));
  t.same(await ids(join(folder, 'entry')), ['a.png', 'below/b.png', 'link/c.png'], 'through a link too');
});

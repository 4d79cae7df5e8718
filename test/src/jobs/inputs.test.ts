import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { readTensor } from '../../../src/tensor/read.js';
import { batch, filesIn, imageName, linesOf, pixelsOf, places } from '../../helpers/batch.js';
import { greyPixels } from '../../helpers/images.js';

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

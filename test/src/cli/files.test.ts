import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import t from 'tap';
import { packagePath } from '../../../export/files/package.js';
import { models } from '../../helpers/batch.js';
import { call, finished } from '../../helpers/cli.js';
import { dataPath } from '../../helpers/networks.js';

const sneaker = dataPath('images', 'sneaker.png');
const boot = dataPath('images', 'ankle-boot.png');
const small = ['--models', models, '--model', 'small'];

t.test('a folder leads to batch, and standard input is read once', async (t) => {
  const folder = t.testdir({});
  for (const [task, batch] of [
    ['classify', 'classify'],
    ['encode', 'encode'],
    ['decode', 'invert'],
  ] as const) {
    const { code, stderr } = await call(task, folder, ...small);
    t.equal(code, 1);
    t.match(stderr, `is a folder, expected a file; for all files in it: irevnet batch ${batch} --input ${folder} `);
  }
  t.match(await call('interpolate', folder, sneaker, ...small), { code: 1, stderr: /is a folder, expected a file\n/ });
  for (const args of [
    ['classify', '-', '-'],
    ['encode', '-', sneaker, '-'],
    ['interpolate', '-', '-'],
  ]) {
    t.match(await call(...args, ...small), { code: 1, stderr: /standard input, which can be read only once/ });
  }
});

t.test('an ending in capitals names the format, and --scale enlarges pictures', async (t) => {
  const folder = t.testdir({});
  const path = (name: string) => join(folder, name);
  t.match(await call('interpolate', sneaker, boot, '--steps', '3', '-o', path('strip.PNG'), ...small), { code: 0 });
  t.match(await call('interpolate', sneaker, boot, '--steps', '3', '--scale', '4', '-o', path('large.png'), ...small), {
    code: 0,
  });
  const once = await sharp(await readFile(path('strip.PNG')))
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const large = await sharp(await readFile(path('large.png')))
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  t.match(once.info, { width: 84, height: 28 });
  t.match(large.info, { width: 336, height: 112 });
  const at = (x: number, y: number) => large.data[y * 336 + x];
  t.ok(once.data.every((v, i) => at(4 * (i % 84), 4 * Math.floor(i / 84)) === v));
  t.ok(once.data.every((v, i) => at(4 * (i % 84) + 3, 4 * Math.floor(i / 84) + 3) === v));
  const refused = (...args: string[]) => call('interpolate', sneaker, boot, ...args, ...small);
  t.match(await refused('--scale', '2', '-o', path('a.npy')), { code: 1, stderr: /npy holds numbers; choose/ });
  t.match(await refused('--scale', '9999', '-o', path('a.png')), { code: 1, stderr: /more than fit/ });
  t.match(await refused('--scale', '0', '-o', path('a.png')), { code: 2, stderr: /--scale/ });
});

t.test('a standard output that is full ends in a line', { skip: process.platform !== 'linux' }, async (t) => {
  const child = spawn(
    process.execPath,
    [packagePath('dist', 'src', 'cli', 'main.js'), 'models', '--json', '--models', models],
    { stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'], env: { ...process.env, NODE_OPTIONS: '' } },
  );
  const { code, stderr } = await finished(child);
  t.equal(code, 22);
  t.match(stderr, /^irevnet: the standard output: the disk is full.*\n$/);
});

t.test('-o /dev/stdout goes after what is in the file', { skip: process.platform !== 'linux' }, async (t) => {
  const file = join(t.testdir({ log: 'before\n' }), 'log');
  const child = spawn(
    process.execPath,
    [packagePath('dist', 'src', 'cli', 'main.js'), 'encode', sneaker, '-f', 'json', '-o', '/dev/stdout', ...small],
    { stdio: ['ignore', openSync(file, 'a'), 'pipe'], env: { ...process.env, NODE_OPTIONS: '' } },
  );
  t.match(await finished(child), { code: 0, stderr: '' });
  t.match(await readFile(file, 'utf8'), /^before\n\{"model":"small"/);
});

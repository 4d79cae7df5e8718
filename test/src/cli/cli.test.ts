import { cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { packagePath } from '../../../export/files/package.js';
import { readTensor } from '../../../export/formats/read.js';
import { commands } from '../../../src/cli/program.js';
import { call, cli, finished, startCli } from '../../helpers/cli.js';
import { greyPixels } from '../../helpers/images.js';
import { dataPath } from '../../helpers/networks.js';

const sneaker = dataPath('images', 'sneaker.png');
const boot = dataPath('images', 'ankle-boot.png');

t.test('help names every command, and each has its own', async (t) => {
  const { code, stdout } = await call('--help');
  t.equal(code, 0);
  for (const command of Object.keys(commands)) {
    t.match(stdout, new RegExp(`^  ${command} `, 'm'));
    const help = await call(command, '--help');
    t.match(help, { code: 0, stdout: new RegExp(`^Usage: irevnet ${command} `), stderr: '' });
  }
});

t.test('wrong usage is 2, failure is 1, a missing model 20, all in a line without a stack', async (t) => {
  const wrong = [
    [],
    ['nope'],
    ['classify'],
    ['classify', sneaker, '--top-k', '0'],
    ['serve', '--port', '99999'],
    ['models', '--x'],
  ];
  const failing = [
    ['classify', 'missing.png'],
    ['classify', dataPath('release-bijective.safetensors')],
    ['classify', sneaker, '--top-k', '99'],
    ['decode', sneaker],
    ['encode', sneaker, '-o', 'features.xyz'],
  ];
  const missing = [
    ['classify', sneaker, '--model', 'nope'],
    ['models', 'nope'],
    ['models', '--models', '/nowhere'],
  ];
  for (const [expected, lists] of [
    [2, wrong],
    [1, failing],
    [20, missing],
  ] as const) {
    for (const args of lists) {
      const { code, stdout, stderr } = await call(...args);
      t.equal(code, expected, args.join(' '));
      t.equal(stdout, '');
      t.notMatch(stderr, /\n\s+at /, stderr.split('\n')[0]!);
      t.ok(stderr.length > 10);
    }
  }
});

t.test('models lists those that can be used, and names the others', async (t) => {
  const models = t.testdir({ broken: {} });
  await cp(packagePath('onnx', 'fashion-mnist'), join(models, 'fashion-mnist'), { recursive: true });
  const { code, stdout, stderr } = await cli('models', '--models', models, '--json');
  t.equal(code, 21);
  t.match(JSON.parse(stdout), [{ name: 'fashion-mnist' }]);
  t.match(stderr, /^irevnet: model broken: .*manifest\.json cannot be read \(ENOENT\).*\n$/);
  t.match(await call('models', 'broken', '--models', models), { code: 21, stdout: '' });
});

t.test('encode and decode give the image back; files appear whole', async (t) => {
  const folder = t.testdir();
  const path = (name: string) => join(folder, name);
  t.match(await cli('encode', sneaker, '-o', path('features.json')), { code: 0, stdout: '', stderr: '' });
  t.match(await cli('decode', path('features.json'), '-o', path('back.png')), { code: 0, stderr: '' });
  t.same(await greyPixels(await readFile(path('back.png'))), await greyPixels(await readFile(sneaker)));
  t.match(
    JSON.parse(await readFile(path('features.json'), 'utf8')),
    { shape: [1, 256, 2, 2] },
    'the ending chose JSON',
  );
  t.equal((await cli('encode', sneaker, boot, '-o', path('two.npy'))).code, 0);
  t.same(readTensor(await readFile(path('two.npy'))).dims, [2, 256, 2, 2]);
  t.match(await cli('decode', path('two.npy'), '-o', path('two.png')), { code: 1, stderr: /2 images/ });
  t.equal((await cli('interpolate', sneaker, boot, '--steps', '3', '-o', path('morph.gif'))).code, 0);
  const names = await readdir(folder);
  t.notOk(
    names.some((name) => name.endsWith('.tmp') || name === 'two.png'),
    'nothing half-written is left',
  );
});

t.test('standard input and output work, also when the reader leaves', async (t) => {
  const child = startCli(['classify', '-', '--json', '--top-k', '1']);
  child.stdin!.end(await readFile(sneaker));
  const { code, stdout } = await finished(child);
  t.equal(code, 0);
  t.equal(JSON.parse(stdout).predictions[0].top.length, 1);
  const leaving = startCli(['encode', ...Array.from({ length: 50 }, () => sneaker), '--format', 'json']);
  leaving.stdout!.destroy();
  const left = await finished(leaving);
  t.match(left, { code: 0, stderr: '' });
});

t.test('models are listed, and shown whole', async (t) => {
  const listed = await cli('models');
  t.match(listed, { code: 0, stdout: /^cifar-10\n[\s\S]*^fashion-mnist\n/m });
  const shown = await cli('models', 'fashion-mnist', '--json');
  t.match(JSON.parse(shown.stdout), { name: 'fashion-mnist', format: 1 });
});

t.test('settings come from the environment too, and mistakes in them are named', async (t) => {
  const { code, stderr } = await finished(startCli(['serve'], { IREVNET_PORT: 'x', IREVNET_THREADS: '-1' }));
  t.equal(code, 2);
  t.match(stderr, /IREVNET_PORT is "x": expected .*\n.*IREVNET_THREADS is "-1": expected /);
});

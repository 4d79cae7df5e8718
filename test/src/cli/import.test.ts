import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { readModelFolder } from '../../../export/model/folder.js';
import { importModel } from '../../../src/cli/import.js';
import { checkModel } from '../../../src/cli/validate.js';
import { global, reduce, text, torchZip } from '../../helpers/checkpoints.js';
import { cli } from '../../helpers/cli.js';
import { dataPath } from '../../helpers/networks.js';

const zip = dataPath('release', 'zip', 'checkpoint.pth.tar');

t.test('a checkpoint becomes a model that validates, also against the code that wrote it', async (t) => {
  const models = t.testdir({ 'names.txt': Array.from({ length: 10 }, (_, i) => `name ${i}`).join('\r\n') });
  const labels = join(models, 'names.txt');
  const arguments_ = ['--name', 'mine', '--models', models, '--labels', labels, '--mean', '0', '--std', '1'];
  const imported = await cli('import', zip, ...arguments_, '--grid', '12');
  t.equal(imported.code, 0, imported.stderr);
  t.equal(imported.stdout.trim(), join(models, 'mine'));
  t.match(imported.stderr, /"blocks":\[1,2\].*\nassumed: input of 32 × 32; --input says otherwise/);
  const manifest = await readModelFolder(join(models, 'mine'));
  t.match(manifest, {
    grid: 12,
    input: { width: 32, mean: [0, 0, 0], std: [1, 1, 1] },
    preprocessing: { fit: 'cover' },
    measured: { data: 'noise', images: 4, accuracy: null, inversion: { exactFloat: 4, exactPixels: 4 } },
  });
  t.equal(manifest.labels[9], 'name 9');
  const validated = await cli('validate', 'mine', '--models', models);
  t.equal(validated.code, 0, validated.stdout);
  t.notMatch(validated.stdout, /failed|warning/);

  await importModel(zip, { name: 'mine', models, labels, mean: [0], std: [1], threads: 1 });
  const against = async (format: string) => {
    const reference = dataPath('release', format);
    const checks = await checkModel('mine', { models, reference, images: 8, threads: 1 });
    return checks.map(({ check, outcome }) => `${check} ${outcome}`);
  };
  t.same(await against('zip'), ['logits ok', 'features ok', 'inversion ok']);
  await t.rejects(against('t7'), /the reference's features have shape \[2,512,8,8\]/, 'another network’s results');
});

t.test('what cannot be imported leaves nothing behind', async (t) => {
  const folder = t.testdir();
  const file = async (name: string, bytes: Uint8Array) => {
    await writeFile(join(folder, name), bytes);
    return join(folder, name);
  };
  const whole = await readFile(zip);
  const damaged = Buffer.from(whole);
  damaged[damaged.indexOf('checkpoint.pth/data/0') + 200]! ^= 1;
  const marker = join(folder, 'run');
  const malicious = torchZip(reduce(global('os', 'system'), text(`touch ${marker}`)), {});
  const refused: [file: string, flags: object, message: RegExp][] = [
    [await file('cut.pth', whole.subarray(0, 300_000)), {}, /cut\.pth: /],
    [await file('damaged.pth', damaged), {}, /damaged\.pth: .*data\/0/],
    [await file('malicious.pth', malicious), {}, /asks to call os\.system, which is refused/],
    [join(folder, 'none.pth'), {}, /none\.pth/],
    [zip, { labels: zip }, /class names; expected 10/],
    [zip, { config: 'irevnet-b' }, /tensors do not fit the network:\n( +stack\..*\n)+/],
    [zip, { config: 'nothing' }, /nothing is no network's name and no file/],
    [zip, { input: [30, 30] }, /30 pixels .* not a multiple of 8/],
    [zip, { grid: 21 }, /grid must/],
    [zip, { name: '../elsewhere' }, /"\.\.\/elsewhere" is no name of a model/],
  ];
  const models = join(folder, 'models');
  for (const [source, flags, message] of refused) {
    await t.rejects(importModel(source, { name: 'mine', models, threads: 1, ...flags }), { message });
    t.same(await readdir(models).catch(() => []), [], 'nothing is left');
  }
  t.notOk((await readdir(folder)).includes('run'), 'nothing was run');
  const { code, stderr } = await cli('import', join(folder, 'cut.pth'), '--name', 'mine', '--models', models);
  t.equal(code, 1);
  t.match(stderr, /^irevnet: .*cut\.pth: /);
  t.notMatch(stderr, /\n {4}at /, 'no stack');
});

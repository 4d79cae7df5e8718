import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import t from 'tap';
import { Check } from 'typebox/value';
import { experiments } from '../../../src/analysis/experiments.js';
import { randomModels } from '../../helpers/app.js';
import { call, cli } from '../../helpers/cli.js';
import { dataPath, miniature, small } from '../../helpers/networks.js';

const models = await randomModels(t, {
  small: { config: small },
  resnet: { architecture: 'resnet', config: { ...miniature.resnet, input: small.input, classes: 10 } },
});
const data = ['--models', models, '--data', dataPath('fashion-mnist'), '--dataset', 'fashion-mnist', '--limit', '12'];
const quick = [...data, '--images', '2', '--neighbours', '2', '--depths', '6', '--no-cache', '--threads', '1'];

t.test('an experiment prints its result, and writes its figure as the ending says', async (t) => {
  const folder = t.testdir({});
  const formats = ['svg', 'png', 'json'] as const;
  const runs = await Promise.all(
    formats.map((format) => cli('analyze', 'neighbours', 'small', ...quick, '--figure', join(folder, `a.${format}`))),
  );
  for (const { code, stdout, stderr } of runs) {
    t.equal(code, 0, stderr);
    t.ok(Check(experiments.neighbours!.result, JSON.parse(stdout)));
    t.match(JSON.parse(stdout), { model: 'small', train: 12, depths: [{ depth: 6 }] });
    t.equal(stdout, runs[0]!.stdout, 'the same images, the same result');
  }
  const read = (format: string) => readFileSync(join(folder, `a.${format}`));
  t.match(read('svg').toString(), /^<svg[\s\S]*After 6 blocks[\s\S]*<\/svg>/);
  t.match(JSON.parse(read('json').toString()), { $schema: /vega-lite/, concat: [{ mark: { type: 'image' } }] });
  const { format, width } = await sharp(read('png')).metadata();
  t.ok(format === 'png' && width > 600, `${width} pixels wide`);
});

t.test('what is wrong is said in a line, before anything is computed', async (t) => {
  const folder = t.testdir({ file: '' });
  for (const [expected, words, ...args] of [
    [2, /no experiment "nope"; there are: separability, pca/, 'nope', 'small'],
    [2, /neighbours.*65|must be <= 64/, 'neighbours', 'small', ...data, '--neighbours', '65'],
    [2, /expected a file that ends in \.svg, \.png, \.json/, 'pca', 'small', '--figure', 'a.gif'],
    [22, /file.*this is no folder/, 'pca', 'small', '--figure', join(folder, 'file', 'a.svg')],
    [1, /inversion needs Φ⁻¹, and the network of resnet has none/, 'inversion', 'resnet', ...data],
    [1, /pca needs images, and no data set is named; name one with --data/, 'pca', 'small', '--models', models],
    [1, /nowhere/, 'pca', 'small', '--models', models, '--data', '/nowhere'],
    [20, /nope/, 'pca', 'nope', '--models', models],
  ] as const) {
    const { code, stdout, stderr } = await call('analyze', ...args);
    t.equal(code, expected, stderr);
    t.equal(stdout, '');
    t.match(stderr, words);
    t.notMatch(stderr, /\n\s+at /);
  }
});

t.test('a report of a network without inverse: what needs none runs all the same', async (t) => {
  const file = join(t.testdir({}), 'a', 'report.html');
  const flags = [...data, '--no-cache', '--threads', '1', '--experiments', 'inversion,neighbours'];
  const { code, stdout, stderr } = await cli('report', 'resnet', ...flags, '-o', file);
  t.equal(code, 0, stderr);
  t.equal(stdout, '');
  t.match(stderr, /1 of 2: inversion skipped: .*has none; choose an invertible network\n/);
  t.match(stderr, /2 of 2: neighbours: done in \d+ s\n/);
  const page = readFileSync(file, 'utf8');
  t.match(page, '<strong>Not run:</strong> inversion needs Φ⁻¹');
  t.match(page, 'not testable on this model');
  t.match(page, /<section id="neighbours">[\s\S]*<svg role="img"/);
  t.match(page, '12 training images, 12 test images, 10 classes');
  t.match(page, 'irevnet report resnet --models');
  t.match(page, ' --threads 1');
  t.match(page, ' --no-cache');
});

t.test('a report that cannot be written, or has unknown experiments, is refused at once', async (t) => {
  const folder = t.testdir({ 'a.html': {}, file: '' });
  const refused = (...args: string[]) => call('report', 'small', '--models', models, ...args);
  t.match(await refused('-o', 'report.txt'), { code: 2, stderr: /expected a file that ends in \.html/ });
  t.match(await refused('-o', join(folder, 'a.html')), { code: 22, stderr: /this is a folder; name a file/ });
  t.match(await refused('-o', join(folder, 'file', 'b.html')), { code: 22, stderr: /this is no folder/ });
  t.match(await refused('--experiments', 'pca,nope'), { code: 2, stderr: /no experiment "nope"; there are/ });
  t.notOk(existsSync(join(folder, 'b.html')));
});

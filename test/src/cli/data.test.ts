import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { readModelFolder } from '../../../export/model/folder.js';
import { loadRun } from '../../../export/train/saved-run.js';
import { evaluate } from '../../../src/cli/evaluate.js';
import { randomModels } from '../../helpers/app.js';
import { call, cli } from '../../helpers/cli.js';
import { CLASSES, cifarBatch, idxFiles, imageTree, labelledNoise, writeTree } from '../../helpers/datasets.js';
import { dataPath, miniature, small } from '../../helpers/networks.js';

/** Pictures of three classes, 16 × 16 in colour, the size of the miniature network, which has five classes. */
const pictures = (seed: number, count: number) => {
  const images = labelledNoise(count, seed, { height: 16, width: 16, channels: 3 });
  return { ...images, labels: images.labels.map((label) => label % 3) };
};

t.test('a folder of pictures is trained on, exported with its labels, and evaluated', async (t) => {
  const root = t.testdir({ 'tiny.json': JSON.stringify({ architecture: 'irevnet', config: miniature.irevnet }) });
  const data = join(root, 'Pets');
  const broken = { 'train/airplane/broken.png': 'none' };
  await writeTree(data, {
    ...(await imageTree('train', pictures(1, 24))),
    ...(await imageTree('test', pictures(2, 12))),
    ...broken,
  });
  const [output, models] = [join(root, 'run'), join(root, 'models')];
  const flags = ['--config', join(root, 'tiny.json'), '--data', data, '--output', output, '--threads', '1'];
  const settings = ['--batch', '6', '--epochs', '1', '--steps', '2', '--residual-penalty', '0', '--validation', '0'];
  const trained = await cli('train', ...flags, ...settings);
  t.match(trained, { code: 0, stdout: /^finished at step 2 of 2/ });
  t.match(trained.stderr, /Pets: folders of images, 3 classes \(airplane, automobile, bird\)/);
  t.match(trained.stderr, /The network tiny gets 3 classes/);
  t.match(trained.stderr, /1 images were skipped .*\n {2}train\/airplane\/broken\.png: /);
  const labels = CLASSES.slice(0, 3);
  t.match(await loadRun(output), { recipe: { dataset: 'pets' }, data: { path: data, format: 'image-folder', labels } });

  const exported = await cli('export', output, '--models', models, '--threads', '1');
  t.match(exported, { code: 0, stdout: `${join(models, 'tiny-pets')}\n` });
  const manifest = await readModelFolder(join(models, 'tiny-pets'));
  t.match(manifest, { labels, preprocessing: { fit: 'cover', polarity: 'any' }, training: { dataset: 'pets' } });
  t.match(manifest.measured, { data: 'pets test images', images: 12 });

  const evaluated = await evaluate('tiny-pets', { models, data, noise: 0, threads: 1 });
  t.match(evaluated, {
    images: 12,
    data: { name: 'pets', part: 'test' },
    accuracy: manifest.measured!.accuracy,
    top5: null,
  });
  t.same(
    evaluated.confusion!.counts.map((row) => row.reduce((a, b) => a + b)),
    [5, 4, 3],
  );
  t.equal(
    evaluated.confusion!.counts.reduce((sum, row, i) => sum + row[i]!, 0),
    evaluated.top1!.images,
  );
  t.match(await call('evaluate', 'tiny-pets', '--models', models), {
    code: 1,
    stderr: /tiny-pets was trained on pets; say where its images lie with --data/,
  });
});

t.test('images that are decoded when they are wanted give the figures of those in memory', async (t) => {
  const models = await randomModels(t, { random: { config: small } });
  const images = labelledNoise(30, 5, { height: 28, width: 28, channels: 1 });
  const [files, idx] = [join(models, 'files'), join(models, 'idx')];
  await writeTree(files, await imageTree('.', images));
  const options = { models, noise: 0, threads: 1, encodeBatch: 7, decodeBatch: 3 };
  const decoded = await evaluate('random', { ...options, data: files });
  await writeTree(idx, idxFiles('t10k', images));
  const inMemory = await evaluate('random', { ...options, data: idx });
  for (const figure of ['images', 'accuracy', 'top1', 'top5', 'confusion'] as const)
    t.same(decoded[figure], inMemory[figure]);
  t.match(inMemory.inversion, { exactFloat: 30, exactPixels: 30 });
  t.ok(inMemory.top5!.images >= inMemory.top1!.images);
  t.equal(decoded.data!.part, 'all', 'the model was not trained here, so it has seen none of them');
});

t.test('data that do not fit are refused before anything is written', async (t) => {
  const root = t.testdir();
  const data = await writeTree(join(root, 'data'), {
    'data_batch_1.bin': cifarBatch(labelledNoise(20, 5)),
    'notes.txt': '',
  });
  const output = join(root, 'run');
  const train = (...args: string[]) => call('train', '--output', output, ...args);
  t.match(await train('--data', data), { code: 1, stderr: /lacks data_batch_2\.bin, data_batch_3\.bin/ });
  for (const n of [2, 3, 4, 5]) await copyFile(join(data, 'data_batch_1.bin'), join(data, `data_batch_${n}.bin`));
  t.match(await train('--data', data, '--config', 'fashion-mnist'), {
    code: 1,
    stderr: /the network fashion-mnist cannot take images of 32 × 32 × 3 .*Choose another with --config/,
  });
  t.match(await train('--data', join(data, 'notes.txt')), { code: 1, stderr: /holds no data set that is known/ });
  t.match(await train('--data', data, '--format', 'zip'), { code: 2, stderr: /Allowed choices are idx, cifar-binary/ });
  t.match(await call('evaluate', 'fashion-mnist', '--data', join(dataPath('images'), 'bag.png')), {
    code: 1,
    stderr: /holds no data set that is known/,
  });
  await t.rejects(readFile(join(output, 'checkpoint.safetensors')), { code: 'ENOENT' });
});

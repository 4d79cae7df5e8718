import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { knownDatasets } from '../../../export/data/index.js';
import { packagePath } from '../../../export/files/package.js';
import { readModelFolder } from '../../../export/model/folder.js';
import { evaluate } from '../../../src/cli/evaluate.js';
import { randomModels } from '../../helpers/app.js';
import { cli } from '../../helpers/cli.js';
import { dataPath, small } from '../../helpers/networks.js';

const flags = { noise: 0, threads: availableParallelism() };

t.test('the command prints JSON; noise comes back in every bit', async (t) => {
  const { code, stdout, stderr } = await cli('evaluate', 'fashion-mnist', '--noise', '1000', '--json');
  t.same([code, stderr], [0, '']);
  t.match(JSON.parse(stdout), {
    model: 'fashion-mnist',
    images: 1000,
    accuracy: null,
    inversion: { exactFloat: 1000, exactPixels: 1000, relativeErrorMean: 0, relativeErrorMax: 0 },
  });
});

t.test('without the grid the inverse is as good as float32', async (t) => {
  const { inversion } = await evaluate('fashion-mnist', { ...flags, noise: 200, grid: 0 });
  t.ok(
    inversion!.relativeErrorMean > 0 && inversion!.relativeErrorMean <= 5e-6,
    'a mean relative error of at most 5e-6',
    inversion!,
  );
  t.equal(inversion!.exactPixels, 200);
});

t.test('a model that was not trained on a data set needs one', async (t) => {
  const models = await randomModels(t, { random: { config: small } });
  await t.rejects(evaluate('random', { ...flags, models }), {
    message:
      'random was not trained on a data set here; name images with --data, or measure its inversion with --noise',
  });
  const data = join(dataPath('fashion-mnist'));
  t.match(await evaluate('random', { ...flags, models, data, dataset: 'fashion-mnist' }), { images: 200 });
});

const folder = knownDatasets['fashion-mnist']!.folder!;
const missing = !existsSync(folder) && `${folder} is missing: apt-get install dataset-fashion-mnist`;

t.test('all 10,000 test images: the manifest’s accuracy, and every bit', { skip: missing }, async (t) => {
  const { measured } = await readModelFolder(packagePath('onnx', 'fashion-mnist'));
  t.match(await evaluate('fashion-mnist', flags), {
    model: 'fashion-mnist',
    images: 10_000,
    accuracy: measured!.accuracy,
    inversion: { exactFloat: 10_000, exactPixels: 10_000, relativeErrorMean: 0, relativeErrorMax: 0 },
  });
});

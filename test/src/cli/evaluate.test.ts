import { existsSync } from 'node:fs';
import t from 'tap';
import { datasets } from '../../../export/data/datasets.js';
import { packagePath } from '../../../export/files/package.js';
import { readModelFolder } from '../../../export/model/folder.js';
import { cli } from '../../helpers/cli.js';

const evaluate = async (...flags: string[]) => JSON.parse((await cli('evaluate', 'fashion-mnist', ...flags)).stdout);

t.test('noise comes back in every bit', async (t) => {
  const { images, accuracy, inversion } = await evaluate('--noise', '1000');
  t.same([images, accuracy], [1000, null]);
  t.same(inversion, { exactFloat: 1000, exactPixels: 1000, relativeErrorMean: 0, relativeErrorMax: 0 });
});

t.test('without the grid the inverse is as good as float32', async (t) => {
  const { inversion } = await evaluate('--noise', '200', '--grid', '0');
  t.ok(
    inversion.relativeErrorMean > 0 && inversion.relativeErrorMean <= 5e-6,
    'a mean relative error of at most 5e-6',
    inversion,
  );
  t.equal(inversion.exactPixels, 200);
});

const { folder, debianPackage } = datasets['fashion-mnist']!;
const missing = !existsSync(folder) && `${folder} is missing: apt-get install ${debianPackage}`;

t.test('all 10,000 test images: the manifest’s accuracy, and every bit', { skip: missing }, async (t) => {
  const { measured } = await readModelFolder(packagePath('onnx', 'fashion-mnist'));
  const { model, images, accuracy, inversion } = await evaluate();
  t.equal(model, 'fashion-mnist');
  t.equal(images, 10_000);
  t.equal(accuracy, measured!.accuracy);
  t.same(inversion, { exactFloat: 10_000, exactPixels: 10_000, relativeErrorMean: 0, relativeErrorMax: 0 });
});

import t from 'tap';
import { packagePath } from '../../../export/files/package.js';
import { readModelFolder } from '../../../export/model/folder.js';
import { modelsTable } from '../../../src/cli/models-table.js';
import { call, cli } from '../../helpers/cli.js';

t.test('a table has a line a model, the smallest test error first, with its interval', async (t) => {
  const shipped = await readModelFolder(packagePath('onnx', 'fashion-mnist'));
  const floats = {
    ...shipped,
    name: 'floats',
    grid: null,
    measured: {
      data: 'made-up test images',
      images: 200,
      accuracy: 0.99,
      inversion: { exactFloat: 3, exactPixels: 200, relativeErrorMean: 1e-7, relativeErrorMax: 2.5e-7 },
    },
  };
  const { 'inverse.onnx': _, ...files } = shipped.files;
  const one = { ...shipped, name: 'unmeasured', files: files as typeof shipped.files, measured: null };
  const cells = modelsTable([one, shipped, floats])
    .trim()
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()));
  t.equal(
    new Set(
      modelsTable([one, shipped, floats])
        .trim()
        .split('\n')
        .map((line) => line.length),
    ).size,
    1,
    'aligned',
  );
  t.same(
    cells.slice(2).map(([, name]) => name),
    ['floats', 'fashion-mnist', 'unmeasured'],
  );
  // Wilson's interval of 198 of 200, as statsmodels' proportion_confint gives it.
  t.same(cells[2]!.slice(5, 9), ['200 of made-up', '1.00%', '0.27% to 3.57%', 'error ≤ 2.5e-7']);
  t.same(cells[3]!.slice(2, 5), ['irevnet, bijective', '4.35 M', '44 M']);
  t.equal(cells[3]![8], 'all 10000 exact');
  t.same(cells[4]!.slice(5, 9), ['–', '–', '–', 'none']);
});

t.test('the command prints it; JSON is another form', async (t) => {
  const { stdout } = await cli('models', '--table');
  t.match(stdout, /\| fashion-mnist +\| irevnet, bijective/);
  t.match(await call('models', '--table', '--json'), { code: 2 });
});

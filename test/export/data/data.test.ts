import t from 'tap';
import { augment } from '../../../export/data/augment.js';
import { select, slice } from '../../../export/data/images.js';
import { datasetNamed, datasets, loadFor } from '../../../export/data/index.js';
import { noiseImages } from '../../../export/data/noise.js';
import { seeded } from '../../../export/data/random.js';
import { configurations } from '../../../export/networks/configurations.js';
import { buildNetwork } from '../../../export/networks/index.js';
import { dataPath, miniature, small, someImages } from '../../helpers/networks.js';

t.test('augmentation shifts and mirrors images, and does nothing else', async (t) => {
  const images = select(await someImages('train'), [0, 1, 2, 3]);
  const still = augment(images, { shift: 0, flip: false }, seeded(1));
  t.same(still.pixels, images.pixels, 'no shift and no flip change nothing');
  const one = slice(images, 0, 1);
  const moved = new Set<string>();
  for (let seed = 0; seed < 200; seed++)
    moved.add(Buffer.from(augment(one, { shift: 1, flip: true }, seeded(seed)).pixels).toString('base64'));
  t.equal(moved.size, 18, '9 shifts, mirrored or not');
});

t.test('images are selected with their labels, of which there may be 1,000 classes', async (t) => {
  const images = { ...noiseImages(3, { height: 2, width: 2, channels: 1 }, 1), labels: Uint16Array.of(999, 0, 300) };
  const chosen = select(images, [2, 0]);
  t.same([...chosen.labels], [300, 999]);
  t.same([...chosen.pixels], [...images.pixels.subarray(8, 12), ...images.pixels.subarray(0, 4)]);
  t.same(slice(images, 1, 3), select(images, [1, 2]));
});

t.test('every data set has labels and images', async (t) => {
  for (const [name, { labels, load }] of Object.entries(datasets)) {
    const images = await load(dataPath(name), 'test');
    t.equal(images.pixels.length, images.count * images.height * images.width * images.channels);
    t.equal(images.labels.length, images.count);
    t.ok(images.labels.every((label) => label < labels.length));
    t.equal(new Set(images.labels).size, labels.length, 'every class is there');
  }
});

t.test('data that is missing or damaged is named', async (t) => {
  const { load } = datasetNamed('fashion-mnist');
  await t.rejects(load('/nowhere', 'train'), {
    name: 'DatasetError',
    message:
      /^\/nowhere holds neither train-images-idx3-ubyte nor .*apt-get install dataset-fashion-mnist; or name the folder with --data/,
  });
  const folder = t.testdir({ 't10k-images-idx3-ubyte': 'no such thing', 't10k-labels-idx1-ubyte.gz': 'nor this' });
  await t.rejects(load(folder, 'test'), { name: 'DatasetError', message: /is not an IDX file of 3 dimensions/ });
});

t.test('a network and a data set that do not fit are refused', async (t) => {
  const load = (architecture: string, config: object) =>
    loadFor(buildNetwork({ architecture, config: { ...config } }), 'fashion-mnist', 'test', dataPath('fashion-mnist'));
  t.equal((await load('irevnet', small)).count, 200);
  await t.rejects(load('irevnet', miniature.irevnet), {
    name: 'DatasetError',
    message: /the network has 5 classes, the data set fashion-mnist has 10; expected as many/,
  });
  await t.rejects(load('irevnet', configurations['irevnet-cifar']!.config), {
    message: /the network takes images of 32 × 32 × 3, the data set fashion-mnist has images of 28 × 28 × 1/,
  });
  t.throws(() => datasetNamed('toString'), /unknown data set "toString"; there are: fashion-mnist/);
});

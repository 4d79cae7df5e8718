import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Images } from '../../../export/data/images.js';
import { type Dataset, openDataset, type Part } from '../../../export/data/index.js';
import { sourceOf } from '../../../export/data/source.js';
import { openDecoder } from '../../../src/jobs/decoder.js';
import {
  archived,
  CLASSES,
  cifarBatch,
  cifarPickle,
  idxFiles,
  imageTree,
  labelledNoise,
  parquetTable,
  pickledNames,
  pngs,
  type Tree,
  writeTree,
} from '../../helpers/datasets.js';

const train = labelledNoise(20, 1);
const test = labelledNoise(10, 2);

const five = (write: (images: Images) => Uint8Array, ending: string): Tree =>
  Object.fromEntries([1, 2, 3, 4, 5].map((n) => [`data_batch_${n}${ending}`, write(part(train, 4 * (n - 1), 4 * n))]));

const part = ({ pixels, labels, ...rest }: Images, from: number, to: number): Images => {
  const size = pixels.length / rest.count;
  return {
    ...rest,
    count: to - from,
    pixels: pixels.subarray(from * size, to * size),
    labels: labels.subarray(from, to),
  };
};

const under = (folder: string, tree: Tree): Tree =>
  Object.fromEntries(Object.entries(tree).map(([name, content]) => [`${folder}/${name}`, content]));

/** The same images in every format for colour. */
const trees: Record<string, () => Promise<Tree>> = {
  'cifar-binary': async () =>
    under('cifar-10-batches-bin', {
      ...five(cifarBatch, '.bin'),
      'test_batch.bin': cifarBatch(test),
      'batches.meta.txt': `${CLASSES.join('\n')}\n\n`,
    }),
  'cifar-python': async () =>
    under('cifar-10-batches-py', {
      ...five(cifarPickle, ''),
      test_batch: cifarPickle(test),
      'batches.meta': pickledNames(),
    }),
  'image-folder': async () => ({
    ...(await imageTree('train', train)),
    ...(await imageTree('val', test)),
    'readme.txt': 'x',
  }),
  parquet: async () => ({
    'data/train-00000-of-00001.parquet': await parquetTable(train),
    'data/test-00000-of-00001.parquet': await parquetTable(test),
  }),
  csv: async () => {
    const files = await pngs(train);
    const rows = files.map((_, n) => `"images/${n}.png",${CLASSES[train.labels[n]!]},train\n`);
    return {
      ...Object.fromEntries(files.map((png, n) => [`images/${n}.png`, png])),
      'metadata.csv': `file_name,label,split\n${rows.join('')}`,
    };
  },
  jsonl: async () => {
    const [first, second] = [await pngs(train), await pngs(test)];
    const line = (png: Buffer, label: number) =>
      `${JSON.stringify({ bytes: png.toString('base64'), label: CLASSES[label] })}\n`;
    return {
      'train.jsonl': first.map((png, n) => line(png, train.labels[n]!)).join(''),
      'test.jsonl': second.map((png, n) => line(png, test.labels[n]!)).join(''),
    };
  },
};

type Size = { readonly height: number; readonly width: number; readonly channels: 1 | 3 };
const colour: Size = { height: 32, width: 32, channels: 3 };

/** Images of a part in a canonical order: by label, then by pixels. */
async function imagesOf(dataset: Dataset, part: Part, size: Size = colour): Promise<string[]> {
  const input = { ...size, mean: [0, 0, 0], std: [1, 1, 1] };
  const decoder = openDecoder({ input, preprocessing: { fit: 'cover', polarity: 'any' } }, 1e6);
  try {
    const source = await sourceOf(await dataset.load(part), input, decoder);
    return canonical(await source.batch(Uint32Array.from({ length: source.count }, (_, i) => i)));
  } finally {
    await decoder.close();
  }
}

const canonical = (images: Images): string[] =>
  [...images.labels]
    .map((label, n) => `${CLASSES[label]} ${Buffer.from(part(images, n, n + 1).pixels).toString('base64')}`)
    .sort();

for (const [format, tree] of Object.entries(trees)) {
  t.test(`${format}: a folder and an archive are recognised and have the same images`, async (t) => {
    const folder = await writeTree(join(t.testdir(), 'data'), await tree());
    const paths = [folder, await archived(folder, '.tar'), await archived(folder, '.tar.gz')];
    for (const path of paths) {
      const dataset = await openDataset({ path });
      t.teardown(() => dataset.close());
      t.same([dataset.format, dataset.name], [format, 'cifar-10'], 'known by the names of its classes');
      t.same(dataset.labels, CLASSES);
      if (format === 'csv') {
        t.same(dataset.parts, ['train', 'test', 'all'], 'all rows are training data, so a tenth is set aside');
        t.same(await imagesOf(dataset, 'all'), canonical(train));
        continue;
      }
      t.ok(dataset.split);
      t.same(await imagesOf(dataset, 'train'), canonical(train));
      t.same(await imagesOf(dataset, 'test'), canonical(test));
    }
  });
}

t.test('IDX: plain or gzipped; a name is given only where one is likely', async (t) => {
  const grey = { height: 5, width: 4, channels: 1 as const };
  const [some, others] = [labelledNoise(12, 3, grey), labelledNoise(11, 4, grey)];
  const path = await writeTree(t.testdir(), { ...idxFiles('train', some), ...idxFiles('t10k', others) });
  const dataset = await openDataset({ path, name: 'digits' });
  t.same([dataset.format, dataset.name, dataset.labels], ['idx', 'digits', '0 1 2 3 4 5 6 7 8 9'.split(' ')]);
  t.same(await imagesOf(dataset, 'train', grey), canonical(some));
  t.same((await dataset.load('test')).labels, others.labels);
  const taken = await openDataset({ path, likely: 'fashion-mnist' });
  t.same([taken.name, taken.labels[9]], ['fashion-mnist', 'Ankle boot']);
  t.match(taken.notes.join(), /do not name their classes; they are taken for fashion-mnist/);
  const unlikely = await openDataset({ path, likely: 'mine' });
  t.not(unlikely.name, 'mine');
});

t.test('a folder without parts is divided by a fixed seed, each image in one part', async (t) => {
  const path = await writeTree(t.testdir(), await imageTree('pets', train));
  const dataset = await openDataset({ path, name: 'pets' });
  t.same([dataset.split, dataset.labels], [false, CLASSES]);
  const [first, second] = [await imagesOf(dataset, 'train'), await imagesOf(dataset, 'test')];
  t.same([first.length, second.length], [18, 2]);
  t.same([...first, ...second].sort(), canonical(train));
  const again = await openDataset({ path, name: 'pets' });
  t.same(await imagesOf(again, 'test'), second, 'the same every time');
});

t.test('a file of names beside the folders, or one that is given, names the classes', async (t) => {
  const names = CLASSES.map((name, i) => `n${i} ${name}, or so\n`).join('');
  const folders = Object.fromEntries(CLASSES.map((_, i) => [`sample/val/n${i}/1.png`, 'x']));
  const path = await writeTree(t.testdir(), { ...folders, 'sample/labels.txt': names });
  const dataset = await openDataset({ path });
  t.same(dataset.labels.slice(0, 2), ['airplane, or so', 'automobile, or so']);
  t.same([dataset.keys[9], dataset.parts], ['n9', ['test']]);
  await writeFile(join(path, 'mine.txt'), 'a\nb\n');
  await t.rejects(openDataset({ path, labels: join(path, 'mine.txt') }), {
    message:
      /mine\.txt has 2 lines; expected 10 class names, one a line, or lines of a class of the data \(such as n0\)/,
  });
});

/** Writes a tree, and expects that it is refused when it is opened or read. */
async function refused(t: Test, name: string, tree: Tree, message: RegExp, options: object = {}): Promise<void> {
  const path = await writeTree(join(t.testdir(), 'data'), tree);
  const reading = async () => {
    const dataset = await openDataset({ path, ...options });
    try {
      for (const part of dataset.parts) await dataset.load(part);
    } finally {
      await dataset.close();
    }
  };
  await t.rejects(reading(), { name: 'DatasetError', message }, name);
}

t.test('data that are missing or damaged are refused with a sentence', async (t) => {
  await t.rejects(openDataset({ path: '/nowhere' }), {
    message: '/nowhere cannot be read (ENOENT); expected a folder, an archive or a file of images',
  });
  await t.rejects(openDataset({ name: 'fashion-mnist', path: '/nowhere' }), {
    message: /apt-get install dataset-fashion-mnist; or name the place with --data$/,
  });
  await t.rejects(openDataset({ name: 'cifar-10' }), {
    message: /^cifar-10 has no usual place; name a folder, .*with --data\. https:.*kriz/,
  });
  await refused(
    t,
    'a wrong folder',
    { 'a.txt': 'x', 'b/c.md': 'y' },
    /holds no data set that is known. It has: a\.txt, b\/c\.md\. Expected one of\n {2}idx /,
  );
  await refused(t, 'images without folders', { 'a.png': 'x' }, /holds no data set that is known/);
  await refused(t, 'one class', { 'cat/a.png': 'x' }, /images of one class alone \(cat\)/, { format: 'image-folder' });
  const folders = { 'train/cat/1.png': 'x', 'train/dog/1.png': 'x' };
  await refused(
    t,
    'an empty class',
    { ...folders, 'train/owl/notes.txt': '' },
    /no images in train\/owl; put some there, or remove/,
  );
  await refused(
    t,
    'a class without training',
    { ...folders, 'val/owl/1.png': 'x' },
    /no training images of owl, of which there are test images/,
  );
  await refused(
    t,
    'two formats',
    { ...folders, 'train.csv': 'image,label\n' },
    /looks like image-folder .* and csv .*; say which is meant with --format/,
  );
  await refused(t, 'an unknown format', folders, /unknown format "zip"; there are: idx, /, { format: 'zip' });
  const { 'data_batch_3.bin': _, ...four } = five(cifarBatch, '.bin');
  await refused(t, 'a batch that is missing', four, /lacks data_batch_3\.bin of the training batches/);
  await refused(
    t,
    'a batch cut short',
    { 'test_batch.bin': cifarBatch(test).subarray(0, 5000) },
    /test_batch\.bin has 5000 bytes, no multiple of the 3073 of an image: it was cut short/,
  );
  const eleven = { ...test, labels: Uint16Array.from(test.labels, () => 11) };
  await refused(
    t,
    'a label beyond the classes',
    { 'test_batch.bin': cifarBatch(eleven) },
    /image 0 of test_batch\.bin has label 11; expected 0 to 9/,
  );
  await refused(
    t,
    'the same in a pickle',
    { test_batch: cifarPickle(eleven) },
    /image 0 has label 11; expected 0 to 9/,
  );
  await refused(
    t,
    'a pickle cut short',
    { test_batch: cifarPickle(test).subarray(0, 9000) },
    /30720 bytes are announced/,
  );
  await refused(
    t,
    'a pickle that calls',
    { test_batch: 'cos\nsystem\n(S"ls"\ntR.' },
    /asks to call os\.system, which is refused: a data set holds data alone/,
  );
  const images = { ...test, height: 1, width: 1, channels: 1, pixels: test.pixels.subarray(0, 10) };
  const { 't10k-labels-idx1-ubyte.gz': labels, ...alone } = idxFiles('t10k', images);
  await refused(
    t,
    'images without labels',
    alone,
    /has t10k-images-idx3-ubyte, but the labels of that part are missing/,
  );
  await refused(
    t,
    'IDX that is none',
    { 't10k-images-idx3-ubyte': 'none', 't10k-labels-idx1-ubyte.gz': labels! },
    /is not an IDX file of 3 dimensions/,
  );
  await refused(
    t,
    'gzip that is none',
    { ...alone, 't10k-labels-idx1-ubyte.gz': 'none' },
    /is damaged \(incorrect header check\)/,
  );
});

t.test('tables with other columns, labels or rows are refused with a sentence', async (t) => {
  await refused(
    t,
    'columns',
    { 'train.csv': 'when,who\n1,2\n' },
    /train\.csv has the columns when, who\. Expected one of images or paths .*; say which are meant with --columns/,
  );
  await refused(t, 'columns that are said', { 'train.csv': 'when,who\n1,2\n' }, /Expected a and b; say/, {
    columns: ['a', 'b'],
  });
  await refused(
    t,
    'a negative label',
    { 'train.csv': 'path,label\na.png,0\nb.png,-1\n' },
    /row 2 of train\.csv has label -1; expected a whole number from 0/,
  );
  await refused(t, 'no label', { 'train.csv': 'path,label\na.png,cat\nb.png,\n' }, /row 2 of train\.csv has no label/);
  await refused(
    t,
    'no rows',
    { 'train.csv': 'path,label\n' },
    /train\.csv has the columns \(none\)|table without rows/,
  );
  await refused(
    t,
    'lines that are no objects',
    { 'train.jsonl': '{"path": "a.png", "label": 1}\n[]\n' },
    /line 2 of train\.jsonl is no JSON object/,
  );
  await refused(t, 'quotes that do not end', { 'train.csv': 'path,label\n"a.png,0\n' }, /train\.csv is not CSV: /);
  await refused(
    t,
    'Parquet cut short',
    { 'train.parquet': (await parquetTable(test)).subarray(0, 900) },
    /train\.parquet cannot be read as Parquet/,
  );
});

t.test('an archive that is cut short is refused', async (t) => {
  const folder = await writeTree(join(t.testdir(), 'data'), await imageTree('train', train));
  for (const ending of ['.tar', '.tar.gz'] as const) {
    const path = await archived(folder, ending);
    await truncate(path, Math.floor((await readFile(path)).length * 0.7));
    await t.rejects(openDataset({ path }), {
      message: /cannot be read as an archive after \d+ files: it was cut short or is damaged/,
    });
  }
  await writeFile(`${folder}.tar`, 'no archive');
  await t.rejects(openDataset({ path: `${folder}.tar` }), { message: /cannot be read as an archive/ });
});

t.test('files that cannot be read are skipped and named, up to a limit', async (t) => {
  const tree = await imageTree('train', train);
  const [broken] = Object.keys(tree).sort();
  tree[broken!] = (tree[broken!] as Buffer).subarray(0, 100);
  const path = await writeTree(t.testdir(), tree);
  const dataset = await openDataset({ path });
  const input = { height: 32, width: 32, channels: 3 as const, mean: [0, 0, 0], std: [1, 1, 1] };
  const decoder = openDecoder({ input, preprocessing: { fit: 'cover', polarity: 'any' } }, 1e6);
  t.teardown(() => decoder.close());
  const content = await dataset.load('all');
  for (const memory of [0, 2 ** 30]) {
    const source = await sourceOf(content, input, decoder, { memory });
    const images = await source.batch(Uint32Array.from({ length: source.count }, (_, i) => i));
    t.equal(images.count, 19);
    t.notOk(canonical(images).includes(canonical(part(train, 0, 1))[0]!));
    t.match(source.unreadable, [{ file: broken, reason: /cannot be decoded/ }]);
    await t.rejects(
      sourceOf(content, input, decoder, { memory, skip: 0 }).then((source) => source.batch([0])),
      { message: /^more than 0 of 20 images cannot be read\. The first: train\/airplane\/000\.png: .*--skip$/ },
    );
  }
});

t.test('pixels of another size than the network takes are refused', async (t) => {
  const path = await writeTree(t.testdir(), { 'test_batch.bin': cifarBatch(test) });
  const dataset = await openDataset({ path });
  const decoder = { decode: async () => ({ pixels: Uint8Array.of(), problems: [] }), close: async () => {} };
  await t.rejects(sourceOf(await dataset.load('test'), { height: 28, width: 28, channels: 1 }, decoder), {
    message: /the network takes images of 28 × 28 × 1, the data have images of 32 × 32 × 3/,
  });
});

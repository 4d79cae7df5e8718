import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { create } from 'tar';
import { type Images, select } from '../../export/data/images.js';
import { noiseImages } from '../../export/data/noise.js';
import { toPng } from '../../src/images/encode.js';

/** Names of the classes, in the order of their code units, as CIFAR-10 has them too. */
export const CLASSES = 'airplane automobile bird cat deer dog frog horse ship truck'.split(' ');

/** Files by their paths. */
export type Tree = Record<string, Uint8Array | string>;

/** Images of noise, of all ten classes in turn. */
export function labelledNoise(
  count: number,
  seed: number,
  size = { height: 32, width: 32, channels: 3 as 1 | 3 },
): Images {
  const images = noiseImages(count, size, seed);
  return { ...images, labels: Uint16Array.from({ length: count }, (_, i) => i % CLASSES.length) };
}

export async function writeTree(root: string, tree: Tree): Promise<string> {
  for (const [name, content] of Object.entries(tree)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
  return root;
}

/** Packs a folder as an archive beside it. */
export async function archived(folder: string, ending: '.tar' | '.tar.gz'): Promise<string> {
  const file = `${folder}${ending}`;
  await create({ file, cwd: folder, gzip: ending === '.tar.gz', portable: true }, ['.']);
  return file;
}

const big = (...numbers: number[]): Uint8Array => {
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [i, n] of numbers.entries()) bytes.writeUInt32BE(n, 4 * i);
  return bytes;
};

export const idxFiles = (part: 'train' | 't10k', { count, height, width, pixels, labels }: Images): Tree => ({
  [`${part}-images-idx3-ubyte`]: Buffer.concat([big(0x803, count, height, width), pixels]),
  [`${part}-labels-idx1-ubyte.gz`]: gzipSync(Buffer.concat([big(0x801, count), Uint8Array.from(labels)])),
});

/** Pixels [3, H, W] of one image. */
function planes({ height, width, pixels }: Images, n: number): Uint8Array {
  const area = height * width;
  return Uint8Array.from({ length: 3 * area }, (_, i) => pixels[3 * (n * area + (i % area)) + Math.floor(i / area)]!);
}

const eachOf = ({ count }: Images): number[] => Array.from({ length: count }, (_, n) => n);

export const cifarBatch = (images: Images): Uint8Array =>
  Buffer.concat(eachOf(images).flatMap((n) => [Uint8Array.of(images.labels[n]!), planes(images, n)]));

/** The dict that the published batches hold, as Python 2 pickles it with protocol 2. */
export function cifarPickle(images: Images): Uint8Array {
  const short = (text: string) => Buffer.concat([Buffer.from(`U${String.fromCharCode(text.length)}${text}`, 'latin1')]);
  const code = (text: string) => Buffer.from(text, 'latin1');
  const number16 = (n: number) => Buffer.from([0x4d, n & 255, n >> 8]);
  const data = Buffer.concat(eachOf(images).map((n) => planes(images, n)));
  const length = Buffer.alloc(4);
  length.writeInt32LE(data.length);
  const dtype = [
    code('cnumpy\ndtype\n'),
    short('u1'),
    code('K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb'),
  ];
  const shape = [number16(images.count), number16(3072), code('\x86')];
  return Buffer.concat([
    code('\x80\x02}('),
    short('data'),
    code('cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01'),
    ...shape,
    ...dtype,
    code('\x89T'),
    length,
    data,
    code('tb'),
    short('labels'),
    code('](K'),
    Buffer.from([...images.labels].flatMap((label, i) => (i === 0 ? [label] : [0x4b, label]))),
    code('eu.'),
  ]);
}

export const pickledNames = (): Uint8Array =>
  Buffer.from(
    `\x80\x02}U\x0blabel_names](${CLASSES.map((n) => `U${String.fromCharCode(n.length)}${n}`).join('')}es.`,
    'latin1',
  );

/** PNG files, one an image. */
export const pngs = (images: Images): Promise<Buffer[]> =>
  Promise.all(
    eachOf(images).map((n) => {
      const { height, width, channels, pixels } = select(images, [n]);
      return toPng({ type: 'uint8', dims: [1, height, width, channels], data: pixels });
    }),
  );

/** `<part>/<class>/<number>.png` */
export async function imageTree(part: string, images: Images): Promise<Tree> {
  const files = await pngs(images);
  return Object.fromEntries(
    files.map((png, n) => [`${part}/${CLASSES[images.labels[n]!]}/${String(n).padStart(3, '0')}.png`, png]),
  );
}

/** A table as Hugging Face's library writes it: {bytes, path}, and labels as numbers with names in the metadata. */
export async function parquetTable(images: Images): Promise<Uint8Array> {
  const files = await pngs(images);
  const info = { info: { features: { label: { names: CLASSES, _type: 'ClassLabel' } } } };
  const buffer = parquetWriteBuffer({
    schema: [
      { name: 'root', num_children: 2 },
      { name: 'image', repetition_type: 'OPTIONAL', num_children: 2 },
      { name: 'bytes', repetition_type: 'OPTIONAL', type: 'BYTE_ARRAY' },
      { name: 'path', repetition_type: 'OPTIONAL', type: 'BYTE_ARRAY', converted_type: 'UTF8' },
      { name: 'label', repetition_type: 'OPTIONAL', type: 'INT64' },
    ],
    columnData: [
      { name: 'image', data: files.map((bytes, n) => ({ bytes: new Uint8Array(bytes), path: `${n}.png` })) },
      { name: 'label', data: [...images.labels].map(BigInt) },
    ],
    kvMetadata: [{ key: 'huggingface', value: JSON.stringify(info) }],
    rowGroupSize: 7,
  });
  return new Uint8Array(buffer);
}

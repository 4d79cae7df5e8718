import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { type Content, DatasetError } from '../dataset.js';
import { baseName, type Files } from '../files/files.js';
import type { Format } from './format.js';

const NAME = /^(?<set>.*?)(?<part>train|t10k|test)-(?<kind>images|labels)[-.]idx[13]-ubyte(\.gz)?$/;

type Pair = Readonly<Record<'images' | 'labels', string>>;

/** The MNIST family: grey images of one size. http://yann.lecun.com/exdb/mnist/ describes the format. */
export const idx: Format = {
  title: 'IDX files',
  expects: 'train-images-idx3-ubyte, train-labels-idx1-ubyte, and t10k- or test-, plain or gzipped',
  recognises: ({ names }) => names.some((name) => NAME.test(baseName(name))),
  async open(files) {
    const pairs = pairsOf(files);
    const labels = new Map<string, Uint8Array>();
    for (const [part, pair] of Object.entries(pairs)) labels.set(part, (await readIdx(files, pair.labels, 1)).data);
    const most = [...labels.values()].reduce((most, some) => some.reduce((a, b) => Math.max(a, b), most), 0);
    const load = async ({ images: name }: Pair, own: Uint8Array): Promise<Content> => {
      const { dims, data } = await readIdx(files, name, 3);
      const [count, height, width] = dims as [number, number, number];
      if (own.length !== count)
        throw new DatasetError(`${files.path}: ${count} images in ${name}, but ${own.length} labels`);
      const numbers = Uint16Array.from(own);
      return {
        kind: 'pixels',
        labels: numbers,
        images: { count, height, width, channels: 1, pixels: data, labels: numbers },
      };
    };
    return {
      labels: Array.from({ length: most + 1 }, (_, i) => String(i)),
      named: false,
      parts: Object.fromEntries(
        Object.entries(pairs).map(([part, pair]) => [part, () => load(pair, labels.get(part)!)]),
      ),
    };
  },
};

/** The files of both parts; of a file that lies there plain and gzipped, the gzipped one. */
function pairsOf({ path, names }: Files): Partial<Record<'train' | 'test', Pair>> {
  const found = new Map<string, string>();
  const sets = new Set<string>();
  for (const name of names) {
    const { set, part, kind } = NAME.exec(baseName(name))?.groups ?? {};
    if (kind === undefined) continue;
    sets.add(set!);
    found.set(`${part === 'train' ? 'train' : 'test'} ${kind}`, name);
  }
  if (sets.size > 1)
    throw new DatasetError(`${path} holds several data sets (${[...sets].join(', ')}); name a folder with one of them`);
  const pairs: Partial<Record<'train' | 'test', Pair>> = {};
  for (const part of ['train', 'test'] as const) {
    const [images, labels] = [found.get(`${part} images`), found.get(`${part} labels`)];
    if (images && labels) pairs[part] = { images, labels };
    else if (images ?? labels)
      throw new DatasetError(
        `${path} has ${images ?? labels}, but the ${images ? 'labels' : 'images'} of that part are missing`,
      );
  }
  return pairs;
}

/** Reads an IDX file of bytes of so many dimensions. @throws DatasetError */
async function readIdx(files: Files, name: string, rank: number): Promise<{ dims: number[]; data: Uint8Array }> {
  const bytes = await unzipped(files, name);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = 4 + 4 * rank;
  if (bytes.length < header || view.getUint32(0) !== 0x800 + rank)
    throw new DatasetError(`${files.path}: ${name} is not an IDX file of ${rank} dimensions of bytes`);
  const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = dims.reduce((a, b) => a * b, 1);
  if (bytes.length !== header + size) {
    throw new DatasetError(
      `${files.path}: ${name} should hold ${size} bytes of data, but holds ${bytes.length - header}. Copy or download it again`,
    );
  }
  return { dims, data: bytes.subarray(header) };
}

async function unzipped(files: Files, name: string): Promise<Uint8Array> {
  const bytes = await files.read(name);
  if (!name.endsWith('.gz')) return bytes;
  return promisify(gunzip)(bytes).catch((error: Error) => {
    throw new DatasetError(`${files.path}: ${name} is damaged (${error.message}). Copy or download it again`);
  });
}

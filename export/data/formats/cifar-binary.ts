import { type Content, DatasetError } from '../dataset.js';
import { baseName, type Files } from '../files/files.js';
import type { Format } from './format.js';
import { allBatches, CIFAR_10, fromPlanes, IMAGE_BYTES, namesIn, type PlanarImage } from './planar.js';

/** The two data sets of this layout: a record is its label, the last of these bytes, and three planes. */
interface Variant {
  readonly train: readonly string[];
  readonly test: string;
  readonly names: string;
  readonly labelBytes: number;
  readonly classes: number;
}
const cifar10: Variant = {
  train: [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`),
  test: 'test_batch.bin',
  names: 'batches.meta.txt',
  labelBytes: 1,
  classes: 10,
};
const cifar100: Variant = {
  train: ['train.bin'],
  test: 'test.bin',
  names: 'fine_label_names.txt',
  labelBytes: 2,
  classes: 100,
};

const variantIn = (files: Files): Variant | undefined =>
  [cifar10, cifar100].find(({ train, test }) => [...train, test].some((name) => at(files, name) !== undefined));
const at = ({ names }: Files, wanted: string): string | undefined => names.find((name) => baseName(name) === wanted);

/** CIFAR-10 and CIFAR-100 (fine labels). Krizhevsky 2009; https://www.cs.toronto.edu/~kriz/cifar.html */
export const cifarBinary: Format = {
  title: 'CIFAR, binary version',
  expects: 'data_batch_1.bin to data_batch_5.bin and test_batch.bin, or train.bin and test.bin',
  recognises: (files) => variantIn(files) !== undefined,
  async open(files) {
    const variant = variantIn(files);
    if (!variant) throw new DatasetError(`${files.path} holds neither data_batch_1.bin nor train.bin`);
    const train = variant.train.flatMap((name) => at(files, name) ?? []);
    allBatches(files.path, train.map(baseName), variant.train);
    const test = at(files, variant.test);
    const load = async (names: readonly string[]): Promise<Content> => {
      const records: PlanarImage[] = [];
      for (const name of names) records.push(...recordsIn(files.path, name, await files.read(name), variant));
      return fromPlanes(records);
    };
    const listed = at(files, variant.names);
    const known = variant.classes === 10 ? CIFAR_10 : undefined;
    const labels = listed ? namesIn(Buffer.from(await files.read(listed)).toString()) : known;
    if (listed && labels!.length !== variant.classes)
      throw new DatasetError(`${files.path}: ${listed} names ${labels!.length} classes; expected ${variant.classes}`);
    return {
      labels: labels ?? Array.from({ length: variant.classes }, (_, i) => String(i)),
      named: labels !== undefined,
      parts: { ...(train.length > 0 && { train: () => load(train) }), ...(test && { test: () => load([test]) }) },
    };
  },
};

function recordsIn(path: string, name: string, bytes: Uint8Array, { labelBytes, classes }: Variant): PlanarImage[] {
  const size = labelBytes + IMAGE_BYTES;
  const rest = bytes.length % size;
  if (rest > 0 || bytes.length === 0) {
    throw new DatasetError(
      `${path}: ${name} has ${bytes.length} bytes, no multiple of the ${size} of an image: it was cut short. Copy or download it again`,
    );
  }
  return Array.from({ length: bytes.length / size }, (_, i) => {
    const label = bytes[i * size + labelBytes - 1]!;
    if (label >= classes)
      throw new DatasetError(`${path}: image ${i} of ${name} has label ${label}; expected 0 to ${classes - 1}`);
    return { label, bytes, from: i * size + labelBytes };
  });
}

import { cursorOver } from '../../formats/pickle/cursor.js';
import { CheckpointFileError, COPY_AGAIN } from '../../formats/pickle/errors.js';
import { Instance, type PickleRules, Reference, readPickle } from '../../formats/pickle/pickle.js';
import { inMemory } from '../../formats/pickle/source.js';
import { type Content, DatasetError } from '../dataset.js';
import { baseName, type Files, folderOf } from '../files/files.js';
import type { Format } from './format.js';
import { allBatches, CIFAR_10, fromPlanes, IMAGE_BYTES, type PlanarImage } from './planar.js';

interface Variant {
  readonly train: readonly string[];
  readonly test: string;
  /** The pickle that names the classes, and its members for names and labels. */
  readonly meta: string;
  readonly names: string;
  readonly labels: string;
  readonly classes: number;
}
const cifar10: Variant = {
  train: [1, 2, 3, 4, 5].map((n) => `data_batch_${n}`),
  test: 'test_batch',
  meta: 'batches.meta',
  names: 'label_names',
  labels: 'labels',
  classes: 10,
};
const cifar100: Variant = {
  train: ['train'],
  test: 'test',
  meta: 'meta',
  names: 'fine_label_names',
  labels: 'fine_labels',
  classes: 100,
};

const at = ({ names }: Files, wanted: string): string | undefined => names.find((name) => baseName(name) === wanted);

/** Of CIFAR-100 all three files must be there, in one folder: their names are words that others use. */
function variantIn(files: Files): Variant | undefined {
  if ([...cifar10.train, cifar10.test].some((name) => at(files, name) !== undefined)) return cifar10;
  const found = [...cifar100.train, cifar100.test, cifar100.meta].map((name) => at(files, name));
  const together =
    found.every((name) => name !== undefined) && new Set(found.map((name) => folderOf(name!))).size === 1;
  return together ? cifar100 : undefined;
}

/** The same in pickles: dicts with `data`, a NumPy array of bytes [N, 3072], and lists of labels. */
export const cifarPython: Format = {
  title: 'CIFAR, Python version',
  expects: 'data_batch_1 to data_batch_5 and test_batch, or train, test and meta',
  recognises: (files) => variantIn(files) !== undefined,
  async open(files) {
    const variant = variantIn(files);
    if (!variant) throw new DatasetError(`${files.path} holds neither data_batch_1 nor train, test and meta`);
    const train = variant.train.flatMap((name) => at(files, name) ?? []);
    allBatches(files.path, train.map(baseName), variant.train);
    const test = at(files, variant.test);
    const meta = at(files, variant.meta);
    const load = async (names: readonly string[]): Promise<Content> => {
      const images: PlanarImage[] = [];
      for (const name of names)
        images.push(...imagesIn(await readDict(files, name), variant, `${files.path}: ${name}`));
      return fromPlanes(images);
    };
    const names = meta ? (await readDict(files, meta)).get(variant.names) : undefined;
    if (
      meta &&
      !(Array.isArray(names) && names.length === variant.classes && names.every((n) => typeof n === 'string'))
    )
      throw new DatasetError(`${files.path}: ${meta} has no ${variant.names} of ${variant.classes} names`);
    const labels = (names as string[] | undefined) ?? (variant === cifar10 ? CIFAR_10 : undefined);
    return {
      labels: labels ?? Array.from({ length: variant.classes }, (_, i) => String(i)),
      named: labels !== undefined,
      parts: { ...(train.length > 0 && { train: () => load(train) }), ...(test && { test: () => load([test]) }) },
    };
  },
};

type Dict = ReadonlyMap<unknown, unknown>;

/** Reads a pickle as data: nothing but arrays of NumPy can be asked for. */
async function readDict(files: Files, name: string): Promise<Dict> {
  const bytes = await files.read(name);
  try {
    const dict = readPickle(cursorOver(inMemory(files.path, bytes), name), rules(files.path));
    if (dict instanceof Map) return dict;
    throw new CheckpointFileError(files.path, `${name} holds no dict. ${COPY_AGAIN}`);
  } catch (error) {
    if (error instanceof CheckpointFileError) throw new DatasetError(error.message);
    throw error;
  }
}

const record = (module: string, name: string) => (args: readonly unknown[]) =>
  new Instance(new Reference(module, name), args);

const rules = (path: string): PickleRules => ({
  constructors: {
    'numpy.dtype': record('numpy', 'dtype'),
    'numpy.core.multiarray._reconstruct': record('numpy', 'ndarray'),
    'numpy._core.multiarray._reconstruct': record('numpy', 'ndarray'),
    // How Python 3 pickles bytes for Python 2.
    '_codecs.encode': ([text]) => Buffer.from(typeof text === 'string' ? text : '', 'latin1'),
  },
  persistent() {
    throw new CheckpointFileError(path, 'its pickle refers to something outside it');
  },
  what: 'a data set',
  remedy: 'Use the published files of CIFAR',
  longStringsAreBytes: true,
});

/** The state of a NumPy array: version, shape, dtype, whether in Fortran's order, bytes. */
function imagesIn(dict: Dict, { labels: member, classes }: Variant, where: string): PlanarImage[] {
  const array = dict.get('data');
  const [, shape, dtype, fortran, bytes] =
    (array instanceof Instance && Array.isArray(array.state) && array.state) || [];
  const labels = dict.get(member);
  const isBytes = dtype instanceof Instance && /^[|<>=]?u1$/.test(String(dtype.args[0]));
  const count = Array.isArray(labels) ? labels.length : 0;
  if (
    !isBytes ||
    fortran ||
    `${shape}` !== `${count},${IMAGE_BYTES}` ||
    !(bytes instanceof Uint8Array) ||
    !Array.isArray(labels)
  )
    throw new DatasetError(`${where} has no "data" of bytes [N, ${IMAGE_BYTES}] with N "${member}". ${COPY_AGAIN}`);
  if (bytes.length !== count * IMAGE_BYTES)
    throw new DatasetError(`${where} should hold ${count} images, but "data" has ${bytes.length} bytes. ${COPY_AGAIN}`);
  return labels.map((label, i) => {
    if (Number.isInteger(label) && label >= 0 && label < classes) return { label, bytes, from: i * IMAGE_BYTES };
    throw new DatasetError(`${where}: image ${i} has label ${label}; expected 0 to ${classes - 1}`);
  });
}

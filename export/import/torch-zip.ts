import { cursorOver } from '../formats/pickle/cursor.js';
import { CheckpointFileError, COPY_AGAIN } from '../formats/pickle/errors.js';
import { readPickle } from '../formats/pickle/pickle.js';
import { inMemory, type Source } from '../formats/pickle/source.js';
import { elementTypes } from './elements.js';
import { SAVE_AGAIN, type StorageId, torchRules } from './torch.js';
import { openZip, type ZipEntry } from './zip.js';

/** Largest data.pkl that is read. It holds no tensor data: storages are files of their own. */
const LARGEST_PICKLE = 2 ** 26;

/** Largest file `byteorder` that is read; its content is "little" or "big". */
const LONGEST_BYTE_ORDER = 16;

/**
 * Reads what torch.save wrote since PyTorch 1.6: a zip archive of `<name>/data.pkl` and `<name>/data/<key>`.
 * @returns the pickled object; its tensors are lazy and need the source open
 * @throws CheckpointFileError when it is damaged, no such archive, or asks for more than data
 */
export async function readTorchZip(source: Source): Promise<unknown> {
  const fail = (problem: string) => new CheckpointFileError(source.path, problem);
  const entries = await openZip(source);
  const prefix = prefixOf(entries, fail);
  await checkByteOrder(entries.get(`${prefix}byteorder`), fail);
  const pickle = entries.get(`${prefix}data.pkl`)!;
  if (pickle.size > LARGEST_PICKLE) throw fail(`data.pkl has ${pickle.size} bytes, at most ${LARGEST_PICKLE} are read`);
  const storage = (id: StorageId): ZipEntry => {
    const entry = entries.get(`${prefix}data/${id.key}`);
    const { width } = elementTypes[id.dtype]!;
    const bytes = id.elements * width;
    if (!entry) throw fail(`${prefix}data/${id.key} is missing in the archive. ${COPY_AGAIN}`);
    // PyTorch counts whole elements; a storage that is viewed as another type may have a part of one more.
    if (entry.size < bytes || entry.size >= bytes + width) {
      throw fail(`${prefix}data/${id.key} in the archive has ${entry.size} bytes, expected ${bytes}. ${COPY_AGAIN}`);
    }
    return entry;
  };
  const rules = torchRules(
    source.path,
    (id) => void storage(id),
    (id, offset, length) => storage(id).read(offset, length),
  );
  const bytes = await pickle.read(0, pickle.size);
  return readPickle(cursorOver(inMemory(source.path, bytes), 'data.pkl'), rules);
}

/** Archives that are no checkpoints, recognised by a member that only they have. */
const otherArchives: readonly [member: RegExp, kind: string][] = [
  [/^[^/]+\/(code\/|constants\.pkl$)/, 'a TorchScript archive, which holds code'],
  [/(^|\/)(archive_format|models\/[^/]+\.json)$/, 'a program that torch.export wrote'],
  [/^model\.weights\.h5$/, 'a Keras model'],
  [/^[^/]+\.npy$/, 'NumPy arrays (.npz), not a state dict'],
];

/** The folder of data.pkl, with a slash at the end. */
function prefixOf(entries: ReadonlyMap<string, ZipEntry>, fail: (problem: string) => CheckpointFileError): string {
  const kind = otherArchives.find(([member]) => [...entries.keys()].some((name) => member.test(name)))?.[1];
  if (kind) throw fail(`${kind}. ${SAVE_AGAIN}`);
  const prefixes = [...entries.keys()].flatMap((name) => /^((?:[^/]+\/)?)data\.pkl$/.exec(name)?.[1] ?? []);
  const [prefix] = prefixes;
  if (prefix === undefined || prefixes.length > 1) {
    const names = [...entries.keys()].slice(0, 5).join(', ') || 'nothing';
    throw fail(
      `a zip archive with ${prefixes.length} files data.pkl, expected one as torch.save writes it; it has ${names}`,
    );
  }
  return prefix;
}

/** The file is absent before PyTorch 2.1, which wrote little-endian everywhere. */
async function checkByteOrder(
  entry: ZipEntry | undefined,
  fail: (problem: string) => CheckpointFileError,
): Promise<void> {
  if (!entry) return;
  if (entry.size > LONGEST_BYTE_ORDER) {
    throw fail(`byteorder in the archive has ${entry.size} bytes; expected "little" or "big". ${COPY_AGAIN}`);
  }
  const order = Buffer.from(await entry.read(0, entry.size)).toString('latin1');
  if (order === 'little') return;
  throw fail(
    order === 'big'
      ? 'it was written in big-endian byte order, only little is read. Save it again on such a machine'
      : `byteorder in the archive is ${JSON.stringify(order)}; expected "little" or "big". ${COPY_AGAIN}`,
  );
}

import { cursorOver } from './cursor.js';
import { elementTypes } from './elements.js';
import { CheckpointFileError, COPY_AGAIN, SAVE_AGAIN } from './errors.js';
import { readPickle } from './pickle.js';
import { inMemory, type Source } from './source.js';
import { type StorageId, torchRules } from './torch.js';
import { openZip, type ZipEntry } from './zip.js';

/** Largest data.pkl that is read. It holds no tensor data: storages are files of their own. */
const LARGEST_PICKLE = 2 ** 28;

/**
 * Reads what torch.save wrote since PyTorch 1.6: a zip archive of `<name>/data.pkl` and `<name>/data/<key>`.
 * @returns the pickled object; its tensors are lazy and need the source open
 * @throws CheckpointFileError when it is damaged, no such archive, or asks for more than data
 */
export async function readTorchZip(source: Source): Promise<unknown> {
  const fail = (problem: string) => new CheckpointFileError(source.path, problem);
  const entries = await openZip(source);
  const prefix = prefixOf(entries, fail);
  const order = await smallText(entries.get(`${prefix}byteorder`));
  if (order !== undefined && order !== 'little') {
    throw fail(`it was written in ${order}-endian byte order, only little is read. Save it again on such a machine`);
  }
  const pickle = entries.get(`${prefix}data.pkl`)!;
  if (pickle.size > LARGEST_PICKLE) throw fail(`data.pkl has ${pickle.size} bytes, at most ${LARGEST_PICKLE} are read`);
  const storage = (id: StorageId): ZipEntry => {
    const entry = entries.get(`${prefix}data/${id.key}`);
    const bytes = id.elements * elementTypes[id.dtype]!.width;
    if (!entry) throw fail(`${prefix}data/${id.key} is missing in the archive. ${COPY_AGAIN}`);
    if (entry.size < bytes) {
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

/** The folder of data.pkl, with a slash at the end. */
function prefixOf(entries: ReadonlyMap<string, ZipEntry>, fail: (problem: string) => CheckpointFileError): string {
  const prefixes = [...entries.keys()].flatMap((name) => /^((?:[^/]+\/)?)data\.pkl$/.exec(name)?.[1] ?? []);
  const [prefix] = prefixes;
  if (prefix === undefined || prefixes.length > 1) {
    const names = [...entries.keys()].slice(0, 5).join(', ') || 'nothing';
    throw fail(
      `a zip archive with ${prefixes.length} files data.pkl, expected one as torch.save writes it; it has ${names}`,
    );
  }
  if (entries.has(`${prefix}constants.pkl`)) throw fail(`a TorchScript archive, which holds code. ${SAVE_AGAIN}`);
  return prefix;
}

const smallText = async (entry: ZipEntry | undefined): Promise<string | undefined> =>
  entry && Buffer.from(await entry.read(0, Math.min(entry.size, 16))).toString('latin1');

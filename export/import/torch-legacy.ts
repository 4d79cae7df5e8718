import { type Cursor, cursorOver } from '../formats/pickle/cursor.js';
import { CheckpointFileError, COPY_AGAIN } from '../formats/pickle/errors.js';
import { type PickleRules, readPickle } from '../formats/pickle/pickle.js';
import type { Source } from '../formats/pickle/source.js';
import { elementTypes } from './elements.js';
import { isKey, type StorageId, torchRules } from './torch.js';

/** The number that torch.save pickles first. Protocol 2 stores it as little-endian bytes, protocols 0 and 1 as digits. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const magicBytes = Buffer.from(MAGIC.toString(16).padStart(20, '0'), 'hex').reverse();
const VERSION = 1001;

/** Whether a file's first bytes are those of the old format. */
export const isTorchLegacy = (head: Uint8Array): boolean =>
  Buffer.from(head).subarray(0, 32).includes(magicBytes) || Buffer.from(head).subarray(0, 32).includes(`L${MAGIC}L`);

/**
 * Reads what torch.save wrote before PyTorch 1.6: pickles of a magic number, a version, the system, the object and the
 * keys of its storages, then for each key a count of elements (int64) and the elements.
 * @returns the pickled object; its tensors are lazy and need the source open
 * @throws CheckpointFileError when it is damaged or asks for more than data
 */
export async function readTorchLegacy(source: Source): Promise<unknown> {
  const storages = new Map<string, StorageId>();
  const places = new Map<string, number>();
  const seen = (id: StorageId): void => {
    const known = storages.get(id.key);
    if (known && bytesOf(known) !== bytesOf(id)) {
      throw new CheckpointFileError(source.path, `storage ${id.key} is said to have two sizes. ${COPY_AGAIN}`);
    }
    if (!known) storages.set(id.key, id);
  };
  const rules = torchRules(source.path, seen, async ({ key }, offset, length) =>
    source.read(places.get(key)! + offset, length),
  );
  const cursor = cursorOver(source, 'the old format of torch.save');
  checkStart(cursor, rules);
  const object = readPickle(cursor, rules);
  const keys = readPickle(cursor, rules);
  if (!Array.isArray(keys) || !keys.every(isKey))
    throw cursor.error(`no list of storage keys where one belongs. ${COPY_AGAIN}`);
  placeStorages(source, cursor, keys.map(String), storages, places);
  return object;
}

function checkStart(cursor: Cursor, rules: PickleRules): void {
  if (readPickle(cursor, rules) !== MAGIC) throw cursor.error('the magic number is another');
  const version = readPickle(cursor, rules);
  if (version !== VERSION) throw cursor.error(`the format's version is another; only ${VERSION} is read`);
  const system = readPickle(cursor, rules);
  if (system instanceof Map && system.get('little_endian') === false) {
    throw cursor.error('it was written in big-endian byte order, only little is read');
  }
}

const bytesOf = ({ elements, dtype }: StorageId): number => elements * elementTypes[dtype]!.width;

/** Finds where the elements of each storage start, and checks that the file holds all of them. */
function placeStorages(
  source: Source,
  cursor: Cursor,
  keys: readonly string[],
  storages: ReadonlyMap<string, StorageId>,
  places: Map<string, number>,
): void {
  let at = cursor.position;
  const damaged = (problem: string) => new CheckpointFileError(source.path, `${problem}. ${COPY_AGAIN}`);
  for (const key of keys) {
    const id = storages.get(key);
    if (!id || places.has(key)) throw damaged(`storage ${key} is listed, but no tensor has it or it is listed twice`);
    const elements = cursorOver(source, `the count of storage ${key}`, at).u64();
    if (elements !== id.elements) throw damaged(`storage ${key} has ${elements} elements, expected ${id.elements}`);
    places.set(key, at + 8);
    at += 8 + bytesOf(id);
    if (at > source.size) throw damaged(`the file ends within storage ${key}, at byte ${source.size} of ${at}`);
  }
  const missing = [...storages.keys()].find((key) => !places.has(key));
  if (missing !== undefined) throw damaged(`the elements of storage ${missing} are missing`);
}

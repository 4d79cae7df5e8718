import { CheckpointFileError, COPY_AGAIN } from '../formats/pickle/errors.js';
import { type Constructor, Instance, type PickleRules, Reference } from '../formats/pickle/pickle.js';
import { elementTypes } from './elements.js';
import { type StoredTensor, storedTensor } from './strided.js';

/** A storage as a persistent id describes it: a flat array of elements, which several tensors may share. */
export interface StorageId {
  /** Its key among the file's storages. */
  readonly key: string;
  readonly dtype: string;
  /** Elements of the whole storage. */
  readonly elements: number;
}

/** A storage, or the part of one, that a tensor refers to. */
class Storage {
  constructor(
    readonly id: StorageId,
    /** Start and length of the part, in elements of the storage. */
    readonly start: number,
    readonly length: number,
  ) {}
}

/** The remedy for a file that holds more than data. */
export const SAVE_AGAIN = 'Save the state dict again with torch.save(model.state_dict(), path)';

/** Reads bytes of a storage, by offset and length. */
export type ReadStorage = (id: StorageId, offset: number, length: number) => Promise<Uint8Array>;

const storageTypes: Readonly<Record<string, string>> = {
  DoubleStorage: 'float64',
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
  ComplexFloatStorage: 'complex64',
  ComplexDoubleStorage: 'complex128',
  QInt8Storage: 'qint8',
  QUInt8Storage: 'quint8',
  QInt32Storage: 'qint32',
  UntypedStorage: 'uint8',
};

/**
 * The functions that pickles of PyTorch may call, and the meaning of their persistent ids.
 * @param path of the file, for errors
 * @param seen is called with every storage before a tensor refers to it; throws when the file does not hold it
 */
export function torchRules(path: string, seen: (id: StorageId) => void, read: ReadStorage): PickleRules {
  const fail = (problem: string) => new CheckpointFileError(path, problem);
  return {
    constructors: { ...plainConstructors(fail), ...tensorConstructors(path, read) },
    persistent(id) {
      const [kind, type, ...rest] = Array.isArray(id) ? id : [];
      // ('module', class, source file, source text): how the old format pickles a class of modules.
      if (kind === 'module' && type instanceof Reference) return type;
      if (kind !== 'storage') throw fail('its pickle refers to something outside it that is no storage');
      return storageOf(type, rest, fail, seen);
    },
    what: 'a checkpoint',
    remedy: SAVE_AGAIN,
  };
}

type Fail = (problem: string) => CheckpointFileError;

/** Reads ('storage', type, key, location, elements); old files add the part that is meant: (key, offset, elements). */
function storageOf(type: unknown, rest: readonly unknown[], fail: Fail, seen: (id: StorageId) => void): Storage {
  const name = type instanceof Reference && /^torch(\.|$)/.test(type.module) ? type.name : '';
  const dtype = Object.hasOwn(storageTypes, name) ? storageTypes[name]! : undefined;
  if (!dtype)
    throw fail(
      `it has a storage of type ${type instanceof Reference ? type : 'unknown'}; expected one of ${Object.keys(storageTypes).join(', ')}`,
    );
  const [key, , elements, part] = rest;
  const [, start, length] = Array.isArray(part) ? part : [key, 0, elements];
  if (!isKey(key) || !isCount(elements) || !isCount(start) || !isCount(length) || start + length > elements) {
    throw fail(`it has a storage without a key and a size, or refers to a part outside it. ${COPY_AGAIN}`);
  }
  const id = { key: String(key), dtype, elements };
  seen(id);
  return new Storage(id, start, length);
}

export const isKey = (v: unknown): v is string | number => typeof v === 'string' || typeof v === 'number';
const isCount = (v: unknown): v is number => Number.isSafeInteger(v) && (v as number) >= 0;

/** Constructors of tensors and parameters: torch._utils and older names. */
function tensorConstructors(path: string, read: ReadStorage): Record<string, Constructor> {
  const fail = (problem: string) => new CheckpointFileError(path, `${problem}. ${COPY_AGAIN}`);
  const tensorOf = (args: readonly unknown[], dtype?: unknown): StoredTensor => {
    const [storage, offset, dims, strides] = args;
    if (!(storage instanceof Storage) || !isCount(offset) || !isCounts(dims) || !isCounts(strides)) {
      throw fail('it has a tensor without storage, offset, dims or strides');
    }
    return strided(path, storage, dtype ?? storage.id.dtype, { offset, dims, strides }, read);
  };
  const parameter: Constructor = ([data]) => {
    if (!isStoredTensor(data)) throw fail('it has a parameter that is no tensor');
    return data;
  };
  return {
    'torch._utils._rebuild_tensor': (args) => tensorOf(args),
    'torch._utils._rebuild_tensor_v2': (args) => tensorOf(args),
    'torch._utils._rebuild_tensor_v3': (args) => tensorOf(args, nameOf(args[6])),
    'torch._utils._rebuild_parameter': parameter,
    'torch._utils._rebuild_parameter_with_state': parameter,
    'torch.nn.parameter.Parameter': parameter, // PyTorch 0.3
    'torch.autograd.variable.Variable': parameter,
    'torch._tensor._rebuild_from_type_v2': ([type, , args], call) => call(type, args as readonly unknown[]),
  };
}

const nameOf = (v: unknown): string => (v instanceof Reference && v.module === 'torch' ? v.name : 'unknown');
const isCounts = (v: unknown): v is number[] => Array.isArray(v) && v.every(isCount);

/** Whether a value of a pickle is a tensor. */
export const isStoredTensor = (v: unknown): v is StoredTensor =>
  typeof v === 'object' && v !== null && 'dtype' in v && 'read' in v;

function strided(
  path: string,
  storage: Storage,
  dtype: unknown,
  place: { offset: number; dims: number[]; strides: number[] },
  read: ReadStorage,
): StoredTensor {
  const { id, start, length } = storage;
  const what = `a tensor of storage ${id.key}`;
  if (typeof dtype !== 'string' || !Object.hasOwn(elementTypes, dtype)) {
    throw new CheckpointFileError(path, `${what} is ${String(dtype)}, which is not read. ${SAVE_AGAIN}`);
  }
  const width = elementTypes[id.dtype]!.width;
  return storedTensor({
    path,
    what,
    dtype,
    ...place,
    available: Math.floor((length * width) / elementTypes[dtype]!.width),
    bytes: (offset, size) => read(id, start * width + offset, size),
  });
}

/** Constructors of Python and NumPy: containers, and objects that are kept as records of their arguments. */
function plainConstructors(fail: Fail): Record<string, Constructor> {
  const items = (v: unknown): Iterable<unknown> => {
    if (v === undefined) return [];
    if (Array.isArray(v) || v instanceof Set) return v;
    if (v instanceof Map) return v.keys();
    throw fail(`its pickle makes a container of something else. ${COPY_AGAIN}`);
  };
  const pairs = (v: unknown): [unknown, unknown][] =>
    v instanceof Map
      ? [...v]
      : [...items(v)].map((pair) => {
          if (!Array.isArray(pair) || pair.length !== 2)
            throw fail(`its pickle makes a dict of no pairs. ${COPY_AGAIN}`);
          return [pair[0], pair[1]];
        });
  const record =
    (module: string, name: string): Constructor =>
    (args) =>
      new Instance(new Reference(module, name), args);
  return {
    'collections.OrderedDict': ([content]) => new Map(pairs(content)),
    'collections.defaultdict': ([, content]) => new Map(pairs(content)),
    'collections.Counter': ([content]) => new Map(pairs(content)),
    'builtins.set': ([content]) => new Set(items(content)),
    'builtins.frozenset': ([content]) => new Set(items(content)),
    'torch.Size': ([content]) => [...items(content)],
    '_codecs.encode': ([text]) => Buffer.from(typeof text === 'string' ? text : '', 'latin1'),
    'builtins.bytearray': record('builtins', 'bytearray'),
    'builtins.complex': record('builtins', 'complex'),
    'copyreg._reconstructor': ([type]) => new Instance(type instanceof Reference ? type : new Reference('', '')),
    'torch.device': record('torch', 'device'),
    'numpy.dtype': record('numpy', 'dtype'),
    ...Object.fromEntries(
      ['numpy.core', 'numpy._core'].flatMap((core) => [
        [`${core}.multiarray.scalar`, record('numpy', 'scalar')],
        [`${core}.multiarray._reconstruct`, record('numpy', 'ndarray')],
        [`${core}.numeric._frombuffer`, record('numpy', 'ndarray')],
      ]),
    ),
  };
}

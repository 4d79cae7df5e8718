import { CheckpointFileError } from '../formats/pickle/errors.js';
import { openSource, type Source } from '../formats/pickle/source.js';
import { readSafetensorsFile } from './safetensors.js';
import { findWeights, type Weights, withoutWrappers } from './state-dict.js';
import type { StoredTensor } from './strided.js';
import { isTorchLegacy, readTorchLegacy } from './torch-legacy.js';
import { readTorchZip } from './torch-zip.js';

export { CheckpointFileError } from '../formats/pickle/errors.js';
export type { StoredTensor } from './strided.js';

/** An open checkpoint file; each tensor is read when it is asked for. */
export interface Checkpoint {
  readonly path: string;
  readonly format: 'pytorch' | 'pytorch-legacy' | 'safetensors';
  /** By their names in a state dict, in the file's order. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Attributes of the model, if the file holds a whole model; often the arguments of its constructor. Unchecked data. */
  readonly attributes: ReadonlyMap<string, unknown>;
  /** Closes the file; tensors cannot be read afterwards. */
  close(): Promise<void>;
}

interface Format {
  readonly name: Checkpoint['format'];
  /** Whether a file is of the format, by its first bytes. */
  matches(head: Uint8Array): boolean;
  read(source: Source): Promise<Weights>;
}

const startsWith = (head: Uint8Array, text: string, at = 0): boolean =>
  Buffer.from(head.subarray(at, at + text.length)).toString('latin1') === text;

const formats: readonly Format[] = [
  {
    name: 'pytorch',
    matches: (head) => startsWith(head, 'PK\x03\x04'),
    read: async (source) => findWeights(source.path, await readTorchZip(source)),
  },
  {
    name: 'pytorch-legacy',
    matches: isTorchLegacy,
    read: async (source) => findWeights(source.path, await readTorchLegacy(source)),
  },
  {
    name: 'safetensors',
    matches: (head) => startsWith(head, '{', 8),
    read: async (source) => withoutWrappers({ tensors: readSafetensorsFile(source) }),
  },
];

const SAVE_STATE_DICT = 'Save the state dict of the PyTorch model with torch.save(model.state_dict(), path)';

/** ModelProto in protobuf: field 1 is ir_version, a small number; then comes another field of the message. */
const isOnnx = (head: Uint8Array): boolean =>
  head[0] === 0x08 && head[1]! > 0 && head[1]! < 32 && [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(head[2]!);

/** Files that users take for checkpoints, recognised by their first bytes, and what to do about them. */
const mistakes: readonly [matches: (head: Uint8Array) => boolean, advice: string][] = [
  [(head) => startsWith(head, '\x93NUMPY'), `it is a single NumPy array (.npy), without names. ${SAVE_STATE_DICT}`],
  [(head) => startsWith(head, '\x89HDF\r\n'), `it is an HDF5 file, such as Keras writes (.h5). ${SAVE_STATE_DICT}`],
  [isOnnx, `it is an ONNX graph, whose weights have no names of layers. ${SAVE_STATE_DICT}`],
  [(head) => startsWith(head, 'TFL3', 4), `it is a TensorFlow Lite model. ${SAVE_STATE_DICT}`],
  [(head) => startsWith(head, 'GGUF'), `it is a GGUF model. ${SAVE_STATE_DICT}`],
  [
    (head) => startsWith(head, '\x89PNG') || startsWith(head, '\xff\xd8\xff'),
    'it is a picture; classify and encode take those',
  ],
  [(head) => startsWith(head, '7z\xbc\xaf'), 'it is compressed with 7-Zip: unpack it first'],
  [(head) => startsWith(head, '\x28\xb5\x2f\xfd'), 'it is compressed with zstd: unpack it first'],
  [(head) => startsWith(head, '\xfd7zXZ'), 'it is compressed with xz: unpack it first'],
  [(head) => startsWith(head, 'BZh'), 'it is compressed with bzip2: unpack it first'],
  [(head) => head.length === 0, 'it is empty: copy or download it again'],
  [(head) => /^\s*</.test(Buffer.from(head).toString('latin1')), 'it looks like a web page: the download failed'],
  [(head) => startsWith(head, 'version https://git-lfs'), 'it is a Git LFS pointer: fetch the file with git lfs pull'],
  [(head) => startsWith(head, '\x1f\x8b'), 'it is compressed with gzip: unpack it first'],
  [(head) => startsWith(head, 'ustar', 257), 'it is a tar archive: unpack it, or save it again with a newer PyTorch'],
  [
    (head) => startsWith(head, '\x80'),
    'it is a pickle that torch.save did not write: save the state dict with torch.save',
  ],
];

/**
 * Opens a checkpoint of PyTorch (both formats of torch.save) or safetensors; the content tells which. The file is read as
 * data: no code in it runs.
 * @throws CheckpointFileError naming the file and what is wrong with it
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const source = openSource(path);
  try {
    const head = source.read(0, Math.min(source.size, 512));
    const format = formats.find(({ matches }) => matches(head));
    if (!format) throw unknownFormat(path, head);
    return { path, format: format.name, ...(await format.read(source)), close: async () => source.close() };
  } catch (error) {
    source.close();
    throw error;
  }
}

function unknownFormat(path: string, head: Uint8Array): CheckpointFileError {
  const advice =
    mistakes.find(([matches]) => matches(head))?.[1] ??
    `it starts with the bytes ${Buffer.from(head.subarray(0, 8)).toString('hex')}`;
  return new CheckpointFileError(
    path,
    `no checkpoint: ${advice}. Expected a file written by torch.save, or a safetensors file`,
  );
}

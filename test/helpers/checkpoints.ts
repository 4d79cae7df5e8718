import { writeFile } from 'node:fs/promises';
import { crc32, deflateRawSync } from 'node:zlib';
import { type Checkpoint, openCheckpoint } from '../../export/import/checkpoint.js';

/** Pickles are put together as Latin-1 text: a piece pushes a value. https://github.com/python/cpython/blob/main/Lib/pickletools.py */
export type Piece = string;

const packed = (size: number, write: (b: Buffer) => void): string => {
  const bytes = Buffer.alloc(size);
  write(bytes);
  return bytes.toString('latin1');
};
export const u32 = (n: number): string => packed(4, (b) => b.writeUInt32LE(n));
export const u64 = (n: number): string => packed(8, (b) => b.writeBigUInt64LE(BigInt(n)));

export const text = (s: string): Piece => `X${u32(Buffer.byteLength(s))}${Buffer.from(s).toString('latin1')}`;
export const int = (n: number): Piece => `\x8a\x08${packed(8, (b) => b.writeBigInt64LE(BigInt(n)))}`;
export const tuple = (...items: Piece[]): Piece => `(${items.join('')}t`;
export const list = (...items: Piece[]): Piece => `](${items.join('')}e`;
export const ints = (values: readonly number[]): Piece => tuple(...values.map(int));
export const dict = (entries: Record<string, Piece>): Piece =>
  `}(${Object.entries(entries)
    .map(([key, value]) => text(key) + value)
    .join('')}u`;
export const global = (module: string, name: string): Piece => `c${module}\n${name}\n`;
export const reduce = (type: Piece, ...args: Piece[]): Piece => `${type}${tuple(...args)}R`;
/** An object of a class, made without arguments. */
export const object = (type: Piece, state: Record<string, Piece>): Piece => `${type})\x81${dict(state)}b`;
/** A module as PyTorch pickles it. */
export const module = (state: { parameters?: Record<string, Piece>; modules?: Record<string, Piece> }): Piece =>
  object(global('models', 'Net'), {
    _parameters: dict(state.parameters ?? {}),
    _buffers: dict({}),
    _modules: dict(state.modules ?? {}),
  });

export interface View {
  readonly key?: string;
  /** Of the storage, as torch names it: Float, Half, Long, … */
  readonly type?: string;
  /** Of the whole storage. */
  readonly elements: number;
  readonly offset?: number;
  readonly dims: readonly number[];
  readonly strides: readonly number[];
}

export const storage = ({ key = '0', type = 'Float', elements }: View, view = ''): Piece =>
  `${tuple(text('storage'), global('torch', `${type}Storage`), text(key), text('cpu'), int(elements), view)}Q`;

/** A tensor as PyTorch pickles it. */
export const view = (v: View, part = ''): Piece =>
  reduce(
    global('torch._utils', '_rebuild_tensor_v2'),
    storage(v, part),
    int(v.offset ?? 0),
    ints(v.dims),
    ints(v.strides),
    '\x89',
    '}',
  );

/** A dense float32 tensor of one axis. */
export const vector = (elements: number, key = '0'): Piece => view({ key, elements, dims: [elements], strides: [1] });

export const bytesOf = (array: ArrayBufferView): Buffer =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength);

export type Storages = Readonly<Record<string, { readonly elements: number; readonly bytes: Buffer }>>;
export const floats = (...values: number[]) => ({
  elements: values.length,
  bytes: bytesOf(Float32Array.from(values)),
});

/** What torch.save writes since 1.6. */
export const torchZip = (pickle: Piece, storages: Storages, more: Record<string, Buffer> = {}): Buffer =>
  zip({
    'net/data.pkl': Buffer.from(`\x80\x02${pickle}.`, 'latin1'),
    ...Object.fromEntries(Object.entries(storages).map(([key, { bytes }]) => [`net/data/${key}`, bytes])),
    ...more,
  });

const MAGIC = '\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19';

/** What torch.save wrote before 1.6. */
export const torchLegacy = (pickle: Piece, storages: Storages): Buffer => {
  const keys = list(...Object.keys(storages).map(text));
  const pickles = [MAGIC, `M\xe9\x03`, `}X${u32(13)}little_endian\x88s`, pickle, keys];
  return Buffer.concat([
    Buffer.from(pickles.map((p) => `\x80\x02${p}.`).join(''), 'latin1'),
    ...Object.values(storages).flatMap(({ elements, bytes }) => [Buffer.from(u64(elements), 'latin1'), bytes]),
  ]);
};

/** A zip archive of stored or deflated files. */
export function zip(files: Readonly<Record<string, Buffer>>, method: 0 | 8 = 0): Buffer {
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const [name, data] of Object.entries(files)) {
    const content = method === 8 ? deflateRawSync(data) : data;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(method, 4);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(content.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(name.length, 22);
    const parts = [Buffer.from('PK\x03\x04'), common, Buffer.from(name), content];
    local.push(...parts);
    central.push(
      Buffer.from('PK\x01\x02\x14\x00'),
      common,
      Buffer.alloc(10),
      Buffer.from(u32(at), 'latin1'),
      Buffer.from(name),
    );
    at += Buffer.concat(parts).length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(Object.keys(files).length, 8);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...local, directory, end]);
}

/** A safetensors file of any header. */
export const safetensors = (header: object, data: Buffer): Buffer => {
  const json = Buffer.from(JSON.stringify(header));
  return Buffer.concat([Buffer.from(u64(json.length), 'latin1'), json, data]);
};

/** Opens bytes as a checkpoint, and has `use` look at it. */
export async function opened<T>(path: string, bytes: Uint8Array, use: (c: Checkpoint) => T | Promise<T>): Promise<T> {
  await writeFile(path, bytes);
  const checkpoint = await openCheckpoint(path);
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

/** All float tensors by name. */
export async function valuesOf({ tensors }: Checkpoint): Promise<Record<string, number[]>> {
  const values: Record<string, number[]> = {};
  for (const [name, t] of tensors) if (/float/.test(t.dtype)) values[name] = [...(await t.read()).data];
  return values;
}

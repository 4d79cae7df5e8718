import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { CheckpointFileError, openCheckpoint } from '../../../export/import/checkpoint.js';
import {
  dict,
  floats,
  global,
  int,
  module,
  opened,
  type Piece,
  reduce,
  safetensors,
  text,
  torchLegacy,
  torchZip,
  tuple,
  valuesOf,
  vector,
  view,
  zip,
} from '../../helpers/checkpoints.js';
import { dataPath } from '../../helpers/networks.js';

const storages = { 0: floats(1, 2, 3) };
const writers = { zip: torchZip, legacy: torchLegacy };
const system = global('posix', 'system');

/** Every way in which a pickle can ask to run something, given the command; the name that has to be refused. */
const calls: Record<string, [(command: Piece) => Piece, RegExp]> = {
  REDUCE: [(c) => reduce(system, c), /call posix\.system,/],
  'REDUCE of a STACK_GLOBAL': [(c) => reduce(`${text('posix')}${text('system')}\x93`, c), /call posix\.system,/],
  'REDUCE of a stored name': [(c) => reduce(`${system}q\x050h\x05`, c), /call posix\.system,/],
  'REDUCE of a class given by a persistent id': [
    (c) => reduce(`${tuple(text('module'), system, 'N', 'N')}Q`, c),
    /call posix\.system,/,
  ],
  INST: [(c) => `(${c}iposix\nsystem\n`, /call posix\.system,/],
  OBJ: [(c) => `(${system}${c}o`, /call posix\.system,/],
  NEWOBJ: [(c) => `${system}${tuple(c)}\x81`, /call posix\.system,/],
  NEWOBJ_EX: [(c) => `${system}${tuple(c)}}\x92`, /call posix\.system,/],
  EXT1: [() => '\x82\x07', /call extension 7,/],
  'inside a constructor that is allowed': [
    (c) => reduce(global('torch._tensor', '_rebuild_from_type_v2'), system, system, tuple(c), '}'),
    /call posix\.system,/,
  ],
  'eval, by its old name': [() => reduce(global('__builtin__', 'eval'), text('1')), /call __builtin__\.eval,/],
  getattr: [() => reduce(global('builtins', 'getattr'), system, text('x')), /call builtins\.getattr,/],
  "an object's own name": [() => reduce(global('constructor', 'toString')), /call constructor\.toString,/],
  'changing a class': [() => `${system}${dict({ x: int(1) })}b`, /change posix\.system,/],
};

t.test('what a pickle asks to call is refused by name, and does not run', async (t) => {
  const folder = t.testdir();
  const made = join(folder, 'made');
  for (const [name, [ask, refused]] of Object.entries(calls)) {
    for (const write of Object.values(writers)) {
      const pickle = dict({ w: vector(3), x: ask(text(`touch ${made}`)) });
      const error = await opened(join(folder, 'x'), write(pickle, storages), valuesOf).catch((e) => e);
      t.type(error, CheckpointFileError, name);
      t.match(error.message, refused, name);
      t.match(error.message, /which is refused: a checkpoint holds data alone\. Save the state dict again/, name);
    }
  }
  t.notOk(existsSync(made));
});

t.test('a class that is only named, or has no arguments, is a record', async (t) => {
  const pickle = dict({ w: vector(3), f: system, o: `${system})\x81` });
  t.same(await opened(join(t.testdir(), 'x'), torchZip(pickle, storages), valuesOf), { w: [1, 2, 3] });
});

/** Pickles that no pickler writes. */
const malformed: Record<string, [Piece, RegExp]> = {
  'a length of 2⁶³': [`\x8d${'\xff'.repeat(7)}\x7f`, /too large for a length/],
  'a length beyond the end': ['X\xff\xff\xff\x7f', /a string of 2147483647 bytes|2147483647 bytes are announced/],
  'bytes beyond the end': ['B\xff\xff\xff\x7f', /2147483647 bytes are announced, \d+ follow/],
  'a negative length': ['T\xff\xff\xff\xff', /-1 bytes are announced/],
  'an integer of negative length': ['\x8b\xff\xff\xff\xff', /an integer of -1 bytes/],
  'an integer of 2 GiB': ['\x8b\xff\xff\xff\x7f', /an integer of 2147483647 bytes/],
  'no value': ['0', /takes a value where there is none|looks for a mark/],
  'a call of nothing': ['R', /takes a value where there is none/],
  'a tuple without mark': ['t', /looks for a mark where there is none/],
  'taking what is below a mark': [`${int(1)}(\x85`, /takes a value where there is none/],
  'a value that was not stored': ['h\x05', /refers to value 5, which was not stored/],
  'an opcode that is none': ['\xff', /a byte 0xff where an opcode belongs/],
  'protocol 9': ['\x80\x09', /pickle protocol 9; 0 to 5 are read/],
  'a key without a value': ['}(K\x01u', /sets a key without a value/],
  'items of a number': ['K\x01(K\x01K\x01u', /sets items of what is no dict/],
  'an item of a dict': ['}K\x01a', /appends to what is no list/],
  'a call of a list': [']]R', /calls what is no function/],
  'text that is not UTF-8': ['X\x01\0\0\0\xff', /a string is not UTF-8/],
  'a number that is none': ['Iabc\n', /an integer that is none/],
  'a code point that is none': ['V\\Uffffffff\n', /a character that is none/],
  'a persistent id that is none': [`${int(1)}Q`, /refers to something outside it that is no storage/],
  'a storage type that is none': [
    `${tuple(text('storage'), system, text('0'), text('cpu'), int(1))}Q`,
    /storage of type posix\.system; expected one of DoubleStorage/,
  ],
  'a storage type of great depth': [
    `${tuple(text('storage'), `${')'.padEnd(1e5, '\x85')}`, text('0'), text('cpu'), int(1))}Q`,
    /storage of type unknown/,
  ],
  'out-of-band buffers': ['\x97', /buffers that are kept outside/],
  'more steps than any checkpoint': ['N0'.repeat(2 ** 21), /takes more than 4194304 steps/],
  'copies without end': [
    `](${'K\x01'.repeat(1000)}eq\x01${reduce(global('builtins', 'set'), 'h\x01').repeat(5000)}`,
    /takes more than 4194304 steps/,
  ],
  'great depth': [')'.padEnd(1e6, '\x85'), /it holds a list of 1/],
  'a list that holds itself': [']q\x01h\x01a', /it holds a list of 1/],
  'a dict that holds itself': [`}q\x01${text('model')}h\x01s`, /it holds a dict of model/],
  'a module that holds itself': [
    `${global('models', 'Net')})\x81q\x01${dict({ _modules: dict({ a: 'h\x01' }) })}b`,
    /modules contain each other, or are too many/,
  ],
  // 2⁴⁰ paths through 40 modules.
  'modules that share modules': [
    Array.from({ length: 40 }, (_, i) =>
      module({
        modules: i === 0 ? {} : { a: `h${String.fromCharCode(i - 1)}`, b: `h${String.fromCharCode(i - 1)}` },
      }).concat(`q${String.fromCharCode(i)}`),
    ).join(''),
    /modules contain each other, or are too many/,
  ],
};

t.test('pickles that no pickler writes give an error', async (t) => {
  const path = join(t.testdir(), 'x');
  for (const [name, [pickle, message]] of Object.entries(malformed)) {
    for (const write of Object.values(writers)) {
      const bytes = write(pickle, {});
      await t.rejects(opened(path, bytes, valuesOf), { name: 'CheckpointFileError', message }, name);
    }
  }
});

const whole = {
  zip: torchZip(dict({ w: vector(3) }), storages),
  legacy: torchLegacy(dict({ w: vector(3) }), storages),
  safetensors: safetensors({ w: { dtype: 'F32', shape: [3], data_offsets: [0, 12] } }, floats(1, 2, 3).bytes),
};

t.test('a file cut anywhere is found out when it is opened', async (t) => {
  const path = join(t.testdir(), 'x');
  for (const [name, bytes] of Object.entries(whole)) {
    t.same(await opened(path, bytes, valuesOf), { w: [1, 2, 3] });
    const got: unknown[] = [];
    for (let length = 0; length < bytes.length; length++) {
      const error = await opened(path, bytes.subarray(0, length), () => 'opened').catch((e) => e);
      if (!(error instanceof CheckpointFileError)) got.push([length, error]);
    }
    t.same(got, [], name);
  }
  for (const file of ['legacy/checkpoint.pth.tar', 'zip/checkpoint.pth.tar']) {
    const bytes = await readFile(dataPath('release', file));
    const random = seeded(1);
    for (let i = 0; i < 20; i++) {
      const cut = bytes.subarray(0, Math.floor(bytes.length * random() ** 3));
      await t.rejects(opened(path, cut, valuesOf), CheckpointFileError, `${file} at ${cut.length}`);
    }
  }
});

t.test('a changed byte gives an error or another checkpoint, nothing else', async (t) => {
  const path = join(t.testdir(), 'x');
  const random = seeded(2);
  const got: unknown[] = [];
  let refused = 0;
  for (const original of Object.values(whole)) {
    for (let i = 0; i < 400; i++) {
      const bytes = Buffer.from(original);
      bytes[Math.floor(random() * bytes.length)] = Math.floor(256 * random());
      const error = await opened(path, bytes, valuesOf).catch((e) => e);
      if (error instanceof CheckpointFileError) refused++;
      else if (error instanceof Error) got.push(error);
    }
  }
  t.same(got, []);
  t.ok(refused > 300, `${refused} refused`);
});

t.test('changed bytes of an archive are found by their CRC-32, tensor by tensor', async (t) => {
  const path = join(t.testdir(), 'x');
  const two = { a: floats(1, 2, 3), b: floats(4, 5, 6) };
  const pickle = dict({
    a: vector(3, 'a'),
    'part of a': view({ key: 'a', elements: 3, dims: [1], strides: [1] }),
    b: vector(3, 'b'),
  });
  const bytes = torchZip(pickle, two);
  bytes[bytes.indexOf(two.a.bytes) + 9]! ^= 1;
  await opened(path, bytes, async ({ tensors }) => {
    const damaged =
      /net\/data\/a in the archive has CRC-32 [0-9a-f]{8}, its directory says [0-9a-f]{8}\. The file is damaged/;
    await t.rejects(tensors.get('a')!.read(), { name: 'CheckpointFileError', message: damaged });
    await t.rejects(tensors.get('part of a')!.read(), { message: damaged }, 'though the part is whole');
    t.same([...(await tensors.get('b')!.read()).data], [4, 5, 6]);
  });
  const other = torchZip(pickle, two);
  other[other.indexOf('part of a')]! ^= 1;
  await t.rejects(opened(path, other, valuesOf), { message: /net\/data\.pkl in the archive has CRC-32/ });
});

t.test('archives that are no checkpoints', async (t) => {
  const path = join(t.testdir(), 'x');
  const pickle = dict({ w: vector(3) });
  const w = { dtype: 'F32', shape: [3] };
  const data = Buffer.alloc(24);
  const cases: [Buffer, RegExp][] = [
    [zip({ 'a.txt': Buffer.alloc(3) }), /a zip archive with 0 files data\.pkl, expected one .*; it has a\.txt/],
    [torchZip(pickle, storages, { 'net/byteorder': Buffer.from('big') }), /big-endian byte order, only little/],
    [torchZip(pickle, storages, { 'net/constants.pkl': Buffer.alloc(1) }), /a TorchScript archive, which holds code/],
    [torchZip(pickle, storages, { 'other/data.pkl': Buffer.alloc(1) }), /a zip archive with 2 files data\.pkl/],
    [safetensors({ w: { ...w, data_offsets: [12, 24] } }, data), /tensor w starts at 12, expected 0/],
    [
      safetensors({ v: { ...w, data_offsets: [0, 12] }, w: { ...w, data_offsets: [8, 20] } }, data),
      /tensor w starts at 8, expected 12/,
    ],
    [safetensors({ w: { ...w, data_offsets: [0, 12] } }, data), /tensors take 12 bytes of the 24 that follow/],
    [safetensors({ w: { ...w, data_offsets: [0, 36] } }, data), /tensor w has offsets 0 to 36 of 24/],
    [
      safetensors({ w: { ...w, dtype: 'F4', data_offsets: [0, 12] } }, data),
      /tensor w is F4; expected one of F64, F32/,
    ],
  ];
  for (const [bytes, message] of cases) {
    await t.rejects(opened(path, bytes, valuesOf), { name: 'CheckpointFileError', message });
  }
  const little = torchZip(pickle, storages, { 'net/byteorder': Buffer.from('little') });
  t.same(await opened(path, little, valuesOf), { w: [1, 2, 3] });
});

t.test('a compressed archive unpacks to what its tensors need, and to no more', async (t) => {
  const path = join(t.testdir(), 'x');
  const files = (more: Record<string, Buffer>) => ({
    'net/data.pkl': Buffer.from(`\x80\x02${dict({ w: vector(3) })}.`, 'latin1'),
    'net/data/0': storages[0].bytes,
    ...more,
  });
  const big = Buffer.alloc(2 ** 23);
  const part = `\x80\x02${dict({ w: view({ elements: 2 ** 21, dims: [3], strides: [1] }) })}.`;
  const cases: [Record<string, Buffer>, RegExp][] = [
    [{ 'net/byteorder': big }, /byteorder in the archive has 8388608 bytes; expected "little" or "big"/],
    [{ 'net/byteorder': Buffer.from('\0\0') }, /byteorder in the archive is "\\u0000\\u0000"; expected "little"/],
    [{ 'net/data/0': big }, /data\/0 in the archive has 8388608 bytes, expected 12/],
    [
      { 'net/data.pkl': Buffer.from(part, 'latin1'), 'net/data/0': big },
      /unpacks to 8388608 bytes, of which 12 are used/,
    ],
    [{ 'net/data.pkl': Buffer.alloc(2 ** 26 + 1) }, /data\.pkl has 67108865 bytes, at most 67108864 are read/],
  ];
  for (const [more, message] of cases) {
    await t.rejects(opened(path, zip(files(more), 8), valuesOf), { name: 'CheckpointFileError', message });
  }
  t.same(await opened(path, zip(files({ 'net/unused': big }), 8), valuesOf), { w: [1, 2, 3] });
});

t.test('what is no checkpoint is named', async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'x');
  const tar = Buffer.alloc(1024);
  tar.write('ustar', 257);
  const cases: [Buffer, RegExp][] = [
    [Buffer.alloc(0), /it is empty/],
    [Buffer.from('\n<!DOCTYPE html>'), /it looks like a web page: the download failed/],
    [Buffer.from('version https://git-lfs.github.com/spec/v1'), /Git LFS pointer/],
    [Buffer.from('1f8b0800', 'hex'), /compressed with gzip/],
    [tar, /it is a tar archive/],
    [Buffer.from('\x93NUMPY\x01\0', 'latin1'), /a single NumPy array \(\.npy\)/],
    [zip({ 'a.npy': Buffer.alloc(3), 'b.npy': Buffer.alloc(3) }), /NumPy arrays \(\.npz\)/],
    [Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), /an HDF5 file, such as Keras writes/],
    [zip({ 'config.json': Buffer.alloc(3), 'model.weights.h5': Buffer.alloc(3) }), /a Keras model/],
    [Buffer.from('\x08\x0a\x12\x07irevnet', 'latin1'), /an ONNX graph/],
    [
      zip({ 'n/data.pkl': Buffer.alloc(1), 'n/code/m.py': Buffer.alloc(1), 'n/constants.pkl': Buffer.alloc(1) }),
      /TorchScript/,
    ],
    [zip({ 'n/model.json': Buffer.alloc(1), 'n/code/m.py': Buffer.alloc(1) }), /TorchScript/],
    [Buffer.from('\x18\0\0\0TFL3', 'latin1'), /TensorFlow Lite/],
    [Buffer.from('GGUF\x03\0', 'latin1'), /GGUF/],
    [Buffer.from('\x89PNG\r\n', 'latin1'), /it is a picture/],
    [Buffer.from('\x28\xb5\x2f\xfd', 'latin1'), /compressed with zstd/],
    [Buffer.from('80027d2e', 'hex'), /a pickle that torch\.save did not write/],
    [
      Buffer.from('04000000010000', 'hex'),
      /starts with the bytes 04000000010000\. Expected a file written by torch\.save/,
    ],
  ];
  for (const [bytes, message] of cases) {
    await t.rejects(opened(path, bytes, valuesOf), { name: 'CheckpointFileError', path, message });
  }
  await mkdir(join(folder, 'folder'));
  await t.rejects(openCheckpoint(join(folder, 'folder')), {
    message: /folder: is a folder; expected a checkpoint file/,
  });
  await t.rejects(openCheckpoint(join(folder, 'none')), { message: /none: cannot be opened \(ENOENT\)/ });
});

t.test('a closed checkpoint says so', async (t) => {
  const path = join(t.testdir(), 'x');
  const tensor = await opened(path, whole.legacy, ({ tensors }) => tensors.get('w')!);
  await t.rejects(tensor.read(), { name: 'CheckpointFileError', message: /is closed; read the tensors before close/ });
});

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { writeSafetensors } from '../../../export/formats/safetensors.js';
import { tensor, bytesOf as tensorBytes } from '../../../export/graph/tensor.js';
import { type Checkpoint, openCheckpoint } from '../../../export/import/checkpoint.js';
import {
  bytesOf,
  dict,
  floats,
  global,
  int,
  ints,
  list,
  module,
  object,
  opened,
  type Piece,
  reduce,
  type Storages,
  safetensors,
  storage,
  text,
  torchLegacy,
  torchZip,
  tuple,
  type View,
  valuesOf,
  vector,
  view,
  zip,
} from '../../helpers/checkpoints.js';
import { dataPath } from '../../helpers/networks.js';

/** Checkpoints of the authors' code; the SHA-256 is of all float values in order, computed with PyTorch 1.13. */
const releases = [
  {
    path: ['legacy', 'checkpoint.pth.tar'],
    format: 'pytorch-legacy',
    first: [3, 6, 3, 3],
    sha256: '05320580d4a92dd9d25be8f5199f460f4cac27aa2f0e39fada68a670bff46851',
  },
  {
    path: ['zip', 'checkpoint.pth.tar'],
    format: 'pytorch',
    first: [6, 6, 3, 3],
    sha256: '0f531fcf7f1ab0d80e2170c10e43a11809067f3d3171c8dd83e9e507221158f9',
  },
  {
    path: ['t7', 'i-revnet.t7'],
    format: 'pytorch',
    first: [4, 16, 3, 3],
    sha256: '4c3029e0a506442b3716b160a291c086e5c4a4d596a07d84a1d7460e33bf99cc',
  },
];

async function sha256Of({ tensors }: Checkpoint): Promise<string> {
  const hash = createHash('sha256');
  for (const stored of tensors.values()) {
    if (stored.dtype === 'float32') hash.update(tensorBytes(await stored.read()));
  }
  return hash.digest('hex');
}

for (const { path, format, first, sha256 } of releases) {
  t.test(`the authors' ${path.join('/')} has the values that PyTorch reads`, async (t) => {
    const checkpoint = await openCheckpoint(dataPath('release', ...path));
    t.teardown(() => checkpoint.close());
    t.equal(checkpoint.format, format);
    const { tensors } = checkpoint;
    const meta = JSON.parse(await readFile(dataPath('release', path[0]!, 'meta.json'), 'utf8'));
    const parameters = [...tensors].filter(([name]) => !/running_|num_batches/.test(name));
    t.equal(
      parameters.reduce((sum, [, { dims }]) => sum + dims.reduce((a, b) => a * b, 1), 0),
      meta.parameters,
    );
    t.equal([...tensors.keys()][0], 'stack.0.bottleneck_block.0.weight');
    t.same(tensors.get('stack.0.bottleneck_block.0.weight')!.dims, first);
    t.same(tensors.get('linear.weight')!.dims, [meta.config.nClasses, tensors.get('bn1.weight')!.dims[0]]);
    t.equal(await sha256Of(checkpoint), sha256);
    if (path[0] === 't7') t.equal(checkpoint.attributes.get('init_ds'), meta.config.init_ds);
    else t.equal(checkpoint.attributes.size, 0);
    const counter = [...tensors].find(([name]) => name.endsWith('num_batches_tracked'))![1];
    t.equal(counter.dtype, 'int64');
    await t.rejects(counter.read(), { name: 'CheckpointFileError', message: /is int64; weights are float64, float32/ });
  });
}

/** Both formats of torch.save, of the same content. */
const writers: Record<string, (pickle: Piece, storages: Storages) => Buffer> = {
  pytorch: torchZip,
  'pytorch-legacy': torchLegacy,
  'a zip archive packed anew': (pickle, storages) =>
    zip(
      {
        'data.pkl': Buffer.from(`\x80\x02${pickle}.`, 'latin1'),
        ...Object.fromEntries(Object.entries(storages).map(([key, { bytes }]) => [`data/${key}`, bytes])),
      },
      8,
    ),
};

/** By storage type: the elements as stored, and as float32. */
const elements: Record<string, [stored: ArrayBufferView, values: number[]]> = {
  Half: [
    Uint16Array.of(0x0001, 0x8001, 0x03ff, 0x0400, 0x3555, 0x3c01, 0x7bff, 0x7c00, 0xfc00, 0x8000),
    [2 ** -24, -(2 ** -24), 1023 * 2 ** -24, 2 ** -14, 0.333251953125, 1.0009765625, 65504, Infinity, -Infinity, -0],
  ],
  BFloat16: [
    Uint16Array.of(0x0001, 0x3f80, 0xbf81, 0x7f7f, 0x7f80, 0xff80, 0x8000),
    [2 ** -133, 1, -1.0078125, 3.3895313892515355e38, Infinity, -Infinity, -0],
  ],
  // Rounding is to nearest, ties to even; what is too large becomes infinite, what is too small subnormal or 0.
  Double: [
    Float64Array.of(1 + 2 ** -24, 1 + 3 * 2 ** -24, 1 / 3, 1e39, -1e39, 1.4e-45, 1e-46, -0),
    [1, 1 + 2 ** -22, Math.fround(1 / 3), Infinity, -Infinity, 2 ** -149, 0, -0],
  ],
  Float: [Float32Array.of(1.5, -0, 1e-45, Infinity), [1.5, -0, 2 ** -149, Infinity]],
};

t.test('every float type becomes float32', async (t) => {
  const path = join(t.testdir(), 'x');
  const storages: Record<string, { elements: number; bytes: Buffer }> = {};
  const weights: Record<string, Piece> = {};
  for (const [type, [stored, { length }]] of Object.entries(elements)) {
    storages[type] = { elements: length, bytes: bytesOf(stored) };
    weights[type] = view({ key: type, type, elements: length, dims: [length], strides: [1] });
  }
  const expected = Object.fromEntries(Object.entries(elements).map(([type, [, values]]) => [type, values]));
  for (const [name, write] of Object.entries(writers)) {
    t.strictSame(await opened(path, write(dict(weights), storages), valuesOf), expected, name);
  }
});

/** Views of a storage of 0, 1, … 23, and what they hold. */
const views: Record<string, [Omit<View, 'elements'>, number[]]> = {
  dense: [{ dims: [2, 3], strides: [3, 1] }, [0, 1, 2, 3, 4, 5]],
  'dense, further on': [{ offset: 20, dims: [2, 2], strides: [2, 1] }, [20, 21, 22, 23]],
  transposed: [{ dims: [3, 2], strides: [1, 3] }, [0, 3, 1, 4, 2, 5]],
  'permuted, of three axes': [
    { offset: 1, dims: [2, 2, 3], strides: [1, 12, 4] },
    [1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22],
  ],
  column: [{ offset: 3, dims: [4], strides: [6] }, [3, 9, 15, 21]],
  expanded: [{ offset: 7, dims: [2, 3], strides: [1, 0] }, [7, 7, 7, 8, 8, 8]],
  'expanded beyond the storage': [{ offset: 5, dims: [30], strides: [0] }, new Array(30).fill(5)],
  scalar: [{ offset: 23, dims: [], strides: [] }, [23]],
  empty: [{ offset: 24, dims: [0, 4], strides: [4, 1] }, []],
  'an axis of size 1 with a stride of its own': [{ dims: [1, 2], strides: [999, 1] }, [0, 1]],
};

t.test('views of a shared storage', async (t) => {
  const path = join(t.testdir(), 'x');
  const elements = 24;
  const pickle = dict(Object.fromEntries(Object.entries(views).map(([name, [v]]) => [name, view({ ...v, elements })])));
  const expected = Object.fromEntries(Object.entries(views).map(([name, [, values]]) => [name, values]));
  for (const [name, write] of Object.entries(writers)) {
    await opened(path, write(pickle, { 0: floats(...Array(elements).keys()) }), async (checkpoint) => {
      t.same(await valuesOf(checkpoint), expected, name);
      for (const [name, [{ dims }]] of Object.entries(views)) t.same(checkpoint.tensors.get(name)!.dims, dims);
    });
  }
});

/** What a view of 6 elements may not be. */
const impossible: Record<string, [View, RegExp]> = {
  'beyond the end': [{ elements: 6, offset: 3, dims: [4], strides: [1] }, /ends at element 7 of 6/],
  'beyond the end by a stride': [{ elements: 6, dims: [2, 2], strides: [5, 1] }, /ends at element 7 of 6/],
  'a size that overflows': [{ elements: 6, dims: [2 ** 40, 2 ** 40], strides: [0, 0] }, /dims .* cannot be/],
  'a stride that overflows': [{ elements: 6, dims: [2 ** 20, 2], strides: [2 ** 52, 1] }, /ends at element/],
  'a negative stride': [
    { elements: 6, offset: 5, dims: [6], strides: [-1] },
    /without storage, offset, dims or strides/,
  ],
  'a negative offset': [{ elements: 6, offset: -1, dims: [2], strides: [1] }, /without storage, offset, dims or/],
  'fewer strides than dims': [{ elements: 6, dims: [2, 3], strides: [1] }, /cannot be/],
  'far more than the file has': [
    { elements: 6, dims: [2 ** 30], strides: [0] },
    /is larger than the 67108864 elements/,
  ],
};

t.test('views that leave their storage are refused', async (t) => {
  const path = join(t.testdir(), 'x');
  for (const [name, [v, message]] of Object.entries(impossible)) {
    const bytes = torchZip(dict({ w: view(v) }), { 0: floats(1, 2, 3, 4, 5, 6) });
    await t.rejects(opened(path, bytes, valuesOf), { name: 'CheckpointFileError', message }, name);
  }
  const short = torchZip(dict({ w: vector(6) }), { 0: floats(1, 2, 3, 4, 5) });
  await t.rejects(opened(path, short, valuesOf), { message: /net\/data\/0 in the archive has 20 bytes, expected 24/ });
  const other = torchLegacy(dict({ w: vector(6) }), { 0: floats(1, 2, 3, 4, 5) });
  await t.rejects(opened(path, other, valuesOf), { message: /storage 0 has 5 elements, expected 6/ });
  const none = torchZip(dict({ w: vector(6, '1') }), { 0: floats(1, 2, 3, 4, 5, 6) });
  await t.rejects(opened(path, none, valuesOf), { message: /net\/data\/1 is missing in the archive/ });
});

const w = vector(2);
const b = vector(1, '1');

/** What files hold beside weights, and where they hold them; the weights are w and b. */
const layouts: Record<string, Piece> = {
  'a state dict': dict({ w, b }),
  'an OrderedDict with metadata': `${reduce(global('collections', 'OrderedDict'))}(${text('w')}${w}${text('b')}${b}u${dict({ _metadata: '}' })}b`,
  'an OrderedDict of pairs': reduce(global('collections', 'OrderedDict'), list(list(text('w'), w), list(text('b'), b))),
  'the ILSVRC layout': dict({
    epoch: int(90),
    arch: text('i-revnet'),
    state_dict: dict({ 'module.w': w, 'module.b': b }),
    best_prec1: view({ elements: 2, dims: [], strides: [] }),
    optimizer: dict({ state: dict({ a: dict({ momentum_buffer: w }) }), param_groups: list(dict({ lr: int(1) })) }),
  }),
  'a dict under another key': dict({ epoch: int(1), generator: dict({ w, b }), optimizer: dict({ state: '}' }) }),
  'model, net': dict({ net: dict({ w, b }), acc: 'G\x40\x57\x40\x00\x00\x00\x00\x00' }),
  'a whole module': module({ parameters: { w, none: 'N', b } }),
  'a whole module in DataParallel, its classes with their source': dict({
    model: object(`${tuple(text('module'), global('torch.nn', 'DataParallel'), text('a.py'), text('class A: …'))}Q`, {
      _modules: dict({ module: module({ parameters: { w, b } }) }),
    }),
  }),
  'NumPy numbers and other records': dict({
    state_dict: dict({ w, b }),
    best: reduce(global('numpy.core.multiarray', 'scalar'), reduce(global('numpy', 'dtype'), text('f8')), text('x')),
    args: object(global('argparse', 'Namespace'), { lr: int(1) }),
    seen: reduce(global('__builtin__', 'set'), list(int(1))),
    shape: reduce(global('torch', 'Size'), ints([1, 2])),
    device: reduce(global('torch', 'device'), text('cuda'), int(0)),
    huge: `\x8a\x0a${'\xff'.repeat(9)}\x7f`,
  }),
  'parameters, with state or of a subclass': dict({
    w: reduce(global('torch._utils', '_rebuild_parameter_with_state'), w, '\x88', '}', '}'),
    b: reduce(
      global('torch._tensor', '_rebuild_from_type_v2'),
      global('torch._utils', '_rebuild_tensor'),
      global('mine', 'Tensor'),
      tuple(storage({ key: '1', elements: 1, dims: [], strides: [] }), int(0), ints([1]), ints([1])),
      '}',
    ),
  }),
  'PyTorch 0.3 on Python 2: byte strings, protocol 0 numbers': `(dU\x01w${reduce(global('torch.nn.parameter', 'Parameter'), w, 'I01\n')}sS'b'\n${b}p12\nsT${'\x01\0\0\0'}vL5L\ns`,
  'protocol 4': `\x80\x04\x95${'\x09\0\0\0\0\0\0\0'}}(\x8c\x01w${w}\x8d${'\x01\0\0\0\0\0\0\0'}b${b}\x94u`,
};

t.test('weights are found where files hold them', async (t) => {
  const path = join(t.testdir(), 'x');
  const storages = { 0: floats(1, 2), 1: floats(3) };
  for (const [name, pickle] of Object.entries(layouts)) {
    for (const write of Object.values(writers)) {
      t.same(await opened(path, write(pickle, storages), valuesOf), { w: [1, 2], b: [3] }, name);
    }
  }
});

t.test('names are those of state_dict()', async (t) => {
  const path = join(t.testdir(), 'x');
  const inner = module({ parameters: { w } });
  const net = object(global('models', 'Net'), {
    _parameters: dict({ 'own.weight': w, bias: 'N' }),
    _buffers: dict({ mean: w, fleeting: w }),
    _non_persistent_buffers_set: reduce(global('builtins', 'set'), list(text('fleeting'))),
    _modules: dict({ 0: inner, deep: module({ modules: { er: inner, none: 'N' } }) }),
    depth: int(-3),
  });
  const names = await opened(path, torchZip(net, { 0: floats(1, 2) }), ({ tensors }) => [...tensors.keys()]);
  t.same(names, ['own.weight', 'mean', '0.w', 'deep.er.w']);
  for (const root of [net, dict({ model: module({ modules: { module: net } }) })]) {
    const bytes = torchZip(root, { 0: floats(1, 2) });
    t.equal(
      await opened(path, bytes, ({ attributes }) => attributes.get('depth')),
      -3,
      'attributes, of the model inside',
    );
  }
  const mixed = torchZip(dict({ 'module.w': w, b: w }), { 0: floats(1, 2) });
  t.same(await opened(path, mixed, ({ tensors }) => [...tensors.keys()]), ['module.w', 'b'], 'a prefix of some stays');
});

t.test('files without weights, or with several sets', async (t) => {
  const path = join(t.testdir(), 'x');
  const cases: [Piece, RegExp][] = [
    [
      dict({ epoch: int(3), arch: text('x') }),
      /no weights in it: it holds a dict of epoch, arch\. Expected a state dict/,
    ],
    [list(int(1)), /it holds a list of 1/],
    [object(global('some', 'Thing'), {}), /it holds a some\.Thing/],
    [w, /it holds a single tensor of dims \[2\]/],
    ['N', /it holds a None/],
    [dict({ g: dict({ w }), d: dict({ w }) }), /several sets of weights in it: g, d\. Save the one that is meant/],
  ];
  for (const [pickle, message] of cases) {
    await t.rejects(opened(path, torchZip(pickle, { 0: floats(1, 2) }), valuesOf), { message });
  }
});

t.test('storages of other kinds: parts, and bytes with a type beside them', async (t) => {
  const path = join(t.testdir(), 'x');
  const part = tuple(text('7'), int(2), int(3));
  const inPart = view({ elements: 6, offset: 1, dims: [2], strides: [1] }, part);
  const bytes = torchLegacy(dict({ w: inPart }), { 0: floats(0, 1, 2, 3, 4, 5) });
  t.same(await opened(path, bytes, valuesOf), { w: [3, 4] });
  const beyond = view({ elements: 6, offset: 1, dims: [3], strides: [1] }, part);
  const more = torchLegacy(dict({ w: beyond }), { 0: floats(0, 1, 2, 3, 4, 5) });
  await t.rejects(opened(path, more, valuesOf), { message: /ends at element 4 of 3/ });

  const untyped = storage({ type: 'Untyped', elements: 8, dims: [], strides: [] }).replace(
    'torch\n',
    'torch.storage\n',
  );
  const v3 = (dtype: string) =>
    reduce(
      global('torch._utils', '_rebuild_tensor_v3'),
      ...[untyped, int(1), ints([3]), ints([1]), '\x89', '}', global('torch', dtype)],
    );
  const half = { elements: 8, bytes: bytesOf(Uint16Array.of(0, 0x3c00, 0x4000, 0xc000)) };
  t.same(await opened(path, torchZip(dict({ w: v3('float16') }), { 0: half }), valuesOf), { w: [1, 2, -2] });
  const unknown = torchZip(dict({ w: v3('float1') }), { 0: half });
  await t.rejects(opened(path, unknown, valuesOf), { message: /a tensor of storage 0 is float1, which is not read/ });
  const wide = torchZip(dict({ w: v3('float32') }), { 0: half });
  await t.rejects(opened(path, wide, valuesOf), { message: /ends at element 4 of 2/ });
});

t.test('safetensors of every float type, lazily', async (t) => {
  const path = join(t.testdir(), 'x');
  const codes: Record<string, string> = { Half: 'F16', BFloat16: 'BF16', Double: 'F64', Float: 'F32' };
  let at = 0;
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  for (const [type, [stored, { length }]] of Object.entries(elements)) {
    header[type] = { dtype: codes[type], shape: [1, length], data_offsets: [at, at + stored.byteLength] };
    at += stored.byteLength;
  }
  header.n = { dtype: 'I64', shape: [], data_offsets: [at, at + 8] };
  const data = Buffer.concat([...Object.values(elements).map(([stored]) => bytesOf(stored)), Buffer.alloc(8)]);
  await opened(path, safetensors(header, data), async (checkpoint) => {
    t.equal(checkpoint.format, 'safetensors');
    const expected = Object.fromEntries(Object.entries(elements).map(([type, [, values]]) => [type, values]));
    t.strictSame(await valuesOf(checkpoint), expected);
    t.same(checkpoint.tensors.get('Half')!.dims, [1, 10]);
    t.equal(checkpoint.tensors.get('BFloat16')!.dtype, 'bfloat16');
    await t.rejects(checkpoint.tensors.get('n')!.read(), { message: /tensor n is int64; weights are/ });
  });
  const ours = writeSafetensors({ tensors: new Map([['a.weight', tensor('float32', [2, 1], [3, 4])]]), metadata: {} });
  t.strictSame(await opened(path, Buffer.concat(ours), valuesOf), { 'a.weight': [3, 4] }, 'what we write ourselves');
});

t.test('wrappers are left out of names, in every format and however many there are', async (t) => {
  const path = join(t.testdir(), 'x');
  const stored = { 0: floats(1, 2, 3), 1: floats(4) };
  for (const prefix of [
    'module.',
    'module.module.',
    '_orig_mod.',
    'model.',
    '_orig_mod.module.',
    'model._orig_mod.module.',
  ]) {
    const state = dict({
      [`${prefix}stack.w`]: vector(3, '0'),
      [`${prefix}bn1.w`]: vector(1, '1'),
      n_averaged: vector(1, '1'),
    });
    const data = Buffer.concat([stored[0].bytes, stored[1].bytes]);
    const entry = (shape: number, from: number) => ({
      dtype: 'F32',
      shape: [shape],
      data_offsets: [from, from + 4 * shape],
    });
    const files = [
      torchZip(state, stored),
      torchLegacy(dict({ state_dict: state }), stored),
      safetensors({ [`${prefix}stack.w`]: entry(3, 0), [`${prefix}bn1.w`]: entry(1, 12) }, data),
    ];
    for (const bytes of files)
      t.same(await opened(path, bytes, valuesOf), { 'stack.w': [1, 2, 3], 'bn1.w': [4] }, prefix);
  }
  const wrapped = module({
    modules: { _orig_mod: module({ modules: { module: module({ parameters: { w: vector(3) } }) } }) },
  });
  t.same(await opened(path, torchZip(wrapped, { 0: floats(1, 2, 3) }), valuesOf), { w: [1, 2, 3] });
});

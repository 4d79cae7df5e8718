import t from 'tap';
import { FormatError } from '../../../export/formats/errors.js';
import { writeFeatures } from '../../../export/formats/features.js';
import { toJson } from '../../../export/formats/json.js';
import { writeNpy } from '../../../export/formats/npy.js';
import { readTensor } from '../../../export/formats/read.js';
import { owned } from '../../../export/graph/rows.js';
import { type Tensor, tensor } from '../../../export/graph/tensor.js';

const example = tensor('float32', [2, 3, 2, 1], [0, -0, 1.5, 1e-45, 3.4e38, -0.1, 7, 8, 9, 1 / 3, 2 ** -149, 12]);

/** Every format that is both read and written. */
const writers: Record<string, (x: Tensor<'float32'>) => Buffer> = {
  npy: (x) => Buffer.concat(writeNpy(x)),
  safetensors: (x) => Buffer.concat(writeFeatures(x, { model: 'example' })),
  json: (x) => Buffer.from(JSON.stringify(toJson(x))),
};

for (const [name, write] of Object.entries(writers)) {
  t.test(`${name} keeps shape and every bit, wherever it lies in memory`, async (t) => {
    const file = write(example);
    const shifted = Buffer.concat([Buffer.alloc(3), file]).subarray(3);
    for (const bytes of [file, shifted]) {
      const { dims, data } = readTensor(bytes);
      t.same(dims, example.dims);
      // JSON has no negative zero.
      t.same(data, name === 'json' ? example.data.map((v) => v + 0) : example.data);
    }
  });

  t.test(`${name} cut anywhere, or with a byte changed, is a problem or an array: nothing else`, async (t) => {
    const file = write(example);
    for (let length = 0; length < file.length; length++) {
      t.throws(() => readTensor(file.subarray(0, length)), { name: 'FormatError' });
    }
    for (let i = 0; i < file.length; i++) {
      const changed = Uint8Array.from(file);
      changed[i] = changed[i]! ^ (1 + ((i * 31) % 255));
      try {
        const { dims, data } = readTensor(changed);
        t.equal(
          data.length,
          dims.reduce((a, b) => a * b, 1),
        );
      } catch (error) {
        t.ok(error instanceof FormatError, `byte ${i}: ${error}`);
      }
    }
  });
}

t.test('numbers are not copied: written and read, they lie where they lay', async (t) => {
  for (const [, data] of [writeNpy(example), writeFeatures(example, {}).slice(1)])
    t.equal(data!.buffer, example.data.buffer);
  const file = Buffer.concat([Buffer.alloc(8), ...writeNpy(example)]);
  for (const [shift, shared] of [
    [8, true],
    [7, false],
  ] as const) {
    file.copyWithin(shift, 8);
    const { data } = readTensor(file.subarray(shift, shift + file.length - 8));
    t.same(data, example.data);
    t.equal(data.buffer === file.buffer, shared, 'copied only where it is not aligned');
    // A worker gets a buffer of its own: never the upload's, which may lie in memory that Node shares out.
    t.not(owned({ type: 'float32', dims: example.dims, data }).data.buffer, file.buffer);
  }
});

t.test('.npy in Fortran order is transposed', async (t) => {
  const header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }";
  const file = Buffer.concat(writeNpy(tensor('float32', [2, 3], [0, 3, 1, 4, 2, 5])));
  const place = file.indexOf('{');
  file.fill(' ', place, 127).write(header, place, 'latin1');
  t.same(readTensor(file), { type: 'float32', dims: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) });
});

t.test('.npy of version 2, of a scalar and of a vector are read', async (t) => {
  const one = Buffer.concat(writeNpy(tensor('float32', [3], [1, 2, 3])));
  t.same(readTensor(one).dims, [3]);
  const scalar = Buffer.concat(writeNpy(tensor('float32', [], [7])));
  t.same(readTensor(scalar), { type: 'float32', dims: [], data: Float32Array.of(7) });
  const two = Buffer.concat([one.subarray(0, 10), Buffer.alloc(2), one.subarray(10)]);
  two[6] = 2;
  t.same(readTensor(two).data, Float32Array.of(1, 2, 3));
});

/** A .npy file of any header, with the numbers 1 to 6. */
function npyOf(header: string, version = 1): Buffer {
  const length =
    version === 1 ? [header.length & 255, header.length >> 8] : [header.length & 255, header.length >> 8, 0, 0];
  const start = Buffer.from(`\x93NUMPY${String.fromCharCode(version)}\0`, 'latin1');
  return Buffer.concat([
    start,
    Buffer.from(length),
    Buffer.from(header),
    Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6).buffer),
  ]);
}
const dictionary = (descr: string, shape = '(2, 3)', more = '') =>
  `{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, ${more}}\n`;
const oneToSix = { type: 'float32', dims: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };

t.test('.npy headers are read as numpy.lib.format reads them', async (t) => {
  const types = ['<f4', 'f4', '=f4', '|f4', 'f', '<f', '=f', '|f', 'float32', 'single'];
  const headers: Readonly<Record<string, string>> = {
    ...Object.fromEntries(types.map((type) => [type, dictionary(`'${type}'`)])),
    'double quotes': `{"descr": "<f4", "fortran_order": False, "shape": (2, 3), }\n`,
    'both quotes': `{"descr": '<f4', 'fortran_order': False, "shape": (2, 3)}`,
    'numbers of Python 2': dictionary("'<f4'", '(2L, 3L)'),
    'strings of Python 2': `{u'descr': u'<f4', u'fortran_order': False, u'shape': (2L, 3L), }`,
    'another order': "{'shape': (2, 3), 'descr': '<f4', 'fortran_order': False}",
    'blanks and lines': "  {'descr' :\t'<f4' ,\n 'fortran_order':False,'shape':( 2,3 , )\n} \n\n",
    'an entry twice, of which the last holds': dictionary("'<f4'", '(3, 2)', "'shape': (2, 3)"),
  };
  for (const [name, header] of Object.entries(headers)) {
    for (const version of [1, 2, 3])
      t.same(readTensor(npyOf(header, version)), oneToSix, `${name}, version ${version}`);
  }
});

t.test('.npy headers that NumPy does not read, or of other types, are refused', async (t) => {
  const refused: Readonly<Record<string, readonly [FormatError['problem'], string]>> = {
    ...Object.fromEntries(['>f4', '>f'].map((type) => [type, ['byte-order', dictionary(`'${type}'`)]])),
    ...Object.fromEntries(
      ['<f8', 'd', 'float', 'e', 'F', 'f4 ', '<float32', 'Float32', '4', '', '<i4', '|S4', '<M8[ns]'].map((type) => [
        `type ${type}`,
        ['dtype', dictionary(`'${type}'`)],
      ]),
    ),
    records: ['dtype', dictionary("[('a', '<f4'), ('b', '<f4', (2,))]")],
    'an array in every element': ['dtype', dictionary("('<f4', (3,))", '(2,)')],
    'no type': ['dtype', "{'fortran_order': False, 'shape': (2, 3)}"],
    'no order': ['malformed', "{'descr': '<f4', 'shape': (2, 3)}"],
    'an order that is a number': ['malformed', "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}"],
    'a shape of truth values': ['malformed', dictionary("'<f4'", '(True, 6)')],
    'a shape of texts': ['malformed', dictionary("'<f4'", "('2', 3)")],
    'a negative size': ['malformed', dictionary("'<f4'", '(-2, -3)')],
    'a fraction': ['malformed', dictionary("'<f4'", '(2.0, 3)')],
    'no comma between sizes': ['malformed', dictionary("'<f4'", '(2 3)')],
    'one entry more': ['malformed', dictionary("'<f4'", '(2, 3)', "'x': 1")],
    'a call': ['malformed', "dict(descr='<f4', fortran_order=False, shape=(2, 3))"],
    'an open bracket': ['malformed', "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)"],
    'text behind': ['malformed', `${dictionary("'<f4'").trim()} x`],
    'zeros behind': ['malformed', `${dictionary("'<f4'").trim()}\0\0`],
    'a list': ['malformed', "['<f4', False, (2, 3)]"],
    nothing: ['malformed', ''],
  };
  for (const [name, [problem, header]] of Object.entries(refused)) {
    t.throws(() => readTensor(npyOf(header)), { name: 'FormatError', problem }, name);
  }
});

const described = (header: object, bytes: number): Buffer => {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.from(BigUint64Array.of(BigInt(json.length)).buffer);
  return Buffer.concat([length, json, Buffer.from(oneToSix.data.buffer), Buffer.alloc(bytes - 24)]);
};
const features = { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] };

t.test('safetensors: tensors beside the features may have any type; the features are not copied', async (t) => {
  for (const dtype of ['F16', 'BF16', 'F64', 'I16', 'U32', 'F8_E4M3', 'F4', 'C64', 'of the future']) {
    const file = described({ features, other: { dtype, shape: [4], data_offsets: [24, 32] }, __metadata__: {} }, 32);
    t.same(readTensor(file), oneToSix, dtype);
    const swapped = described({ other: { dtype, shape: [4], data_offsets: [24, 32] }, features }, 32);
    t.same(readTensor(swapped), oneToSix, `${dtype} first`);
  }
  const aligned = described({ features }, 24);
  const shift = Buffer.alloc(4 - ((aligned.length - 24) % 4));
  const file = Buffer.concat([shift, aligned]).subarray(shift.length);
  t.equal(readTensor(file).data.buffer === file.buffer, (file.byteOffset + file.length) % 4 === 0);
  const wrong: Readonly<Record<string, readonly [FormatError['problem'], object]>> = {
    'the features have another type': ['dtype', { features: { ...features, dtype: 'F16' } }],
    'the other tensor lies on the features': ['length', { features, other: { dtype: 'F16', data_offsets: [20, 32] } }],
    'the other tensor leaves a gap': ['length', { features, other: { dtype: 'F16', data_offsets: [26, 32] } }],
    'the other tensor ends too late': ['length', { features, other: { dtype: 'F16', data_offsets: [24, 40] } }],
    'the other tensor lies nowhere': ['length', { features, other: { dtype: 'F16' } }],
  };
  for (const [name, [problem, header]] of Object.entries(wrong)) {
    t.throws(() => readTensor(described(header, 32)), { name: 'FormatError', problem }, name);
  }
});

t.test('JSON: nested lists with or without a shape, and a byte order mark', async (t) => {
  const nested = [
    [1, 2, 3],
    [4, 5, 6],
  ];
  const flat = [1, 2, 3, 4, 5, 6];
  const written = [{ shape: [2, 3], data: flat }, { shape: [2, 3], data: nested }, { data: nested }, nested];
  for (const json of written.map((value) => JSON.stringify(value))) {
    for (const text of [json, `\ufeff${json}`, `\n ${json}`]) t.same(readTensor(Buffer.from(text)), oneToSix, text);
  }
  t.same(readTensor(Buffer.from('[[[]], [[]]]')).dims, [2, 1, 0]);
  const refused: Readonly<Record<string, readonly [FormatError['problem'], RegExp, unknown]>> = {
    'a flat list without a shape': ['malformed', /no "shape"/, flat],
    'another shape': [
      'length',
      /shape \[3,2\] takes 6 numbers.*lists of shape \[2,3\]/,
      { shape: [3, 2], data: nested },
    ],
    'a list too short': [
      'length',
      /the list data\[1\] is not as long/,
      [
        [1, 2, 3],
        [4, 5],
      ],
    ],
    'a list too long': [
      'length',
      /the list data\[1\]/,
      [
        [1, 2],
        [3, 4, 5],
      ],
    ],
    'lists that only add up': ['length', /the list data\[1\]/, [[1, 2], [3], [4, 5, 6]]],
    'a number among lists': ['length', /the list data\[1\]/, [[1, 2, 3], 4]],
    'a list among numbers': [
      'dtype',
      /the entry 4 of the data is a list/,
      [
        [1, 2, 3],
        [4, [5], 6],
      ],
    ],
    'a text': [
      'dtype',
      /the entry 5 of the data is string/,
      [
        [1, 2, 3],
        [4, 5, '6'],
      ],
    ],
    null: [
      'nan',
      /the entry 5 of the data is null/,
      [
        [1, 2, 3],
        [4, 5, null],
      ],
    ],
    'nine axes': ['rank', /9 axes/, [[[[[[[[[1]]]]]]]]]],
  };
  for (const [name, [problem, message, json]] of Object.entries(refused)) {
    t.throws(() => readTensor(Buffer.from(JSON.stringify(json))), { name: 'FormatError', problem, message }, name);
  }
  t.throws(() => readTensor(Buffer.from('[[1, NaN]]')), { name: 'FormatError', problem: 'nan' });
});

t.test('JSON in another encoding than UTF-8 is named', async (t) => {
  const json = JSON.stringify({ shape: [2, 3], data: [1, 2, 3, 4, 5, 6] });
  const wide = Buffer.from(json, 'utf16le');
  const files = {
    'UTF-16': wide,
    'UTF-16 with a mark': Buffer.from(`\ufeff${json}`, 'utf16le'),
    'UTF-16, big-endian': Buffer.from(wide).swap16(),
    'UTF-16, big-endian, with a mark': Buffer.from(`\ufeff${json}`, 'utf16le').swap16(),
  };
  for (const [name, file] of Object.entries(files)) {
    t.throws(
      () => readTensor(file),
      { name: 'FormatError', problem: 'malformed', message: /UTF-16 or UTF-32 text; expected UTF-8/ },
      name,
    );
  }
  const latin1 = Buffer.from('{"écran": 1, "data": [[1]]}', 'latin1');
  t.throws(() => readTensor(latin1), {
    name: 'FormatError',
    problem: 'malformed',
    message: /bytes that are not UTF-8/,
  });
});

t.test('files of other formats are named', async (t) => {
  for (const [start, message] of [
    ['PK\x03\x04', /ZIP archive, such as \.npz/],
    ['\x1f\x8b\x08', /compressed by gzip/],
    ['\x89HDF\r\n', /HDF5/],
    ['hello', /neither \.npy, safetensors nor JSON/],
  ] as const) {
    t.throws(() => readTensor(Buffer.from(start, 'latin1')), { name: 'FormatError', problem: 'malformed', message });
  }
});

t.test('headers that claim too much are refused at once', async (t) => {
  const npy = Buffer.concat(writeNpy(tensor('float32', [1], [0])));
  const place = npy.indexOf('(1');
  npy.write(`(${'9'.repeat(15)}, ${'9'.repeat(15)}), }`, place, 'latin1');
  t.throws(() => readTensor(npy), { name: 'FormatError', message: /more numbers than there are bytes/ });
  const safetensors = Buffer.alloc(16);
  safetensors.writeBigUInt64LE(2n ** 50n);
  safetensors.write('{', 8);
  t.throws(() => readTensor(safetensors), { name: 'FormatError' });
});

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

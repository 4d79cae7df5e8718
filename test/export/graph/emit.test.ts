import { Buffer } from 'node:buffer';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import t from 'tap';
import { readSafetensors, writeSafetensors } from '../../../export/formats/safetensors.js';
import { emit } from '../../../export/graph/emit.js';
import { constant, type Graph, GraphError, input, parameter } from '../../../export/graph/graph.js';
import { add, cast, mul } from '../../../export/graph/ops/elementwise.js';
import { matmul } from '../../../export/graph/ops/matmul.js';
import { type NamedTensors, type Tensor, tensor } from '../../../export/graph/tensor.js';
import { graphFiles } from '../../../export/model/create.js';
import { networkParameters } from '../../../export/model/graphs.js';
import { externalWeights, readWeights, weightsLayout, weightsPieces } from '../../../export/model/weights.js';
import { irevnet } from '../../../export/networks/irevnet.js';
import { openSession } from '../../../export/runtime/session.js';
import { evaluate, inlineFrom } from '../../helpers/graph.js';
import { small } from '../../helpers/networks.js';

const none = inlineFrom(new Map());

t.test('the same network gives the same bytes', async (t) => {
  const [a, b] = [graphFiles(irevnet(small)), graphFiles(irevnet(small))];
  t.equal(Buffer.compare(a['forward.onnx']!, b['forward.onnx']!), 0);
  t.equal(Buffer.compare(a['inverse.onnx']!, b['inverse.onnx']!), 0);
  const other = graphFiles(irevnet({ ...small, grid: 11 }));
  t.not(Buffer.compare(a['forward.onnx']!, other['forward.onnx']!), 0, 'another grid gives others');
});

t.test('a model has the format of its operator set, and imports no other that it does not use', async (t) => {
  const imports = (bytes: Uint8Array) => {
    const { irVersion, opsetImport } = fromBinary(ModelProtoSchema, bytes);
    return { irVersion, opsets: opsetImport.map(({ domain, version }) => [domain, version]) };
  };
  const onnx = { irVersion: 9n, opsets: [['', 20n]] };
  for (const [name, bytes] of Object.entries(graphFiles(irevnet(small)))) t.same(imports(bytes), onnx, name);
  const [a, b] = [input('a', 'float32', [2, 2]), input('b', 'float32', [2, 2])];
  const product = (transA: boolean) => ({ name: 'product', inputs: [a, b], outputs: { y: matmul(a, b, { transA }) } });
  t.same(imports(emit(product(false), none)), onnx);
  t.same(imports(emit(product(true), none)), {
    ...onnx,
    opsets: [
      ['', 20n],
      ['com.microsoft', 1n],
    ],
  });
});

t.test('both graphs refer to one weights file, in which nothing overlaps', async (t) => {
  const files = graphFiles(irevnet(small));
  for (const bytes of Object.values(files)) {
    t.ok(Buffer.from(bytes).includes('weights.bin'));
    t.ok(bytes.length < 100_000, 'weights are not inside');
  }
  const { slots, bytes } = weightsLayout(networkParameters(irevnet(small)));
  let end = 0;
  for (const { offset, length } of slots.values()) {
    t.ok(offset >= end && offset % 64 === 0);
    end = offset + length;
  }
  t.equal(end, bytes);
});

t.test('an output may be an input, a constant, or named twice', async (t) => {
  const x = input('x', 'float32', [2]);
  const y = mul(x, 2);
  const seven = constant(tensor('float32', [1], [7]));
  const graph: Graph = { name: 'aliases', inputs: [x], outputs: { y, again: y, x_again: x, seven } };
  const got = await evaluate(graph, { x: tensor('float32', [2], [1, 2]) });
  t.same([...got.y!.data], [2, 4]);
  t.same([...got.again!.data], [2, 4]);
  t.same([...got.x_again!.data], [1, 2]);
  t.same([...got.seven!.data], [7]);
});

t.test('what cannot be written is refused by name', async (t) => {
  const x = input('x', 'float32', [2]);
  const stranger = input('y', 'float32', [2]);
  t.throws(
    () => emit({ name: 'g', inputs: [x], outputs: { z: add(x, stranger) } }, none),
    new GraphError('input y is used but not listed among the inputs of g'),
  );
  const role = { init: 'zeros', kind: 'trained' } as const;
  const w = parameter('w', [2], role);
  const twins = add(w, parameter('w', [2], role));
  const weights = inlineFrom(new Map([['w', tensor('float32', [2], [0, 0])]]));
  t.throws(
    () => emit({ name: 'g', inputs: [], outputs: { z: twins } }, weights),
    new GraphError('two values are named w'),
  );
  t.throws(
    () => emit({ name: 'g', inputs: [], outputs: { w: add(w, 1) } }, weights),
    new GraphError('two values are named w'),
  );
  t.throws(
    () => emit({ name: 'g', inputs: [], outputs: { z: cast(parameter('w', [2], role, 'int8'), 'float32') } }, weights),
    new GraphError('w is int8[2], but its data is float32[2]'),
  );
});

t.test('a parameter of another element type is stored, read and computed with', async (t) => {
  const w = parameter('w', [3], { init: 'zeros', kind: 'trained' }, 'int8');
  const bias = parameter('bias', [1], { init: 'zeros', kind: 'trained' });
  const data: NamedTensors = new Map<string, Tensor>([
    ['w', tensor('int8', [3], [-128, 5, 127])],
    ['bias', tensor('float32', [1], [0.5])],
  ]);
  const folder = t.testdir();
  const { slots, bytes } = weightsLayout([w, bias]);
  t.same(
    [...slots.values()],
    [
      { offset: 0, length: 3 },
      { offset: 64, length: 4 },
    ],
  );
  t.equal(bytes, 68);
  await writeFile(join(folder, 'weights.bin'), weightsPieces([w, bias], data));
  t.same(await readWeights([w, bias], join(folder, 'weights.bin')), data);
  const graph: Graph = { name: 'int8', inputs: [], outputs: { y: add(cast(w, 'float32'), bias) } };
  await writeFile(join(folder, 'external.onnx'), emit(graph, externalWeights(slots)));
  for (const source of [join(folder, 'external.onnx'), emit(graph, inlineFrom(data))]) {
    const session = await openSession(source, { threads: 1 });
    t.same([...(await session.run({})).y!.data], [-127.5, 5.5, 127.5]);
    await session.release();
  }
  const { tensors } = readSafetensors(Buffer.concat([...writeSafetensors({ tensors: new Map(data), metadata: {} })]));
  t.same(tensors, data, 'in a checkpoint too');
});

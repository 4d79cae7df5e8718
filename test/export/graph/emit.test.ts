import { Buffer } from 'node:buffer';
import t from 'tap';
import { emit } from '../../../export/graph/emit.js';
import { constant, type Graph, GraphError, input, parameter } from '../../../export/graph/graph.js';
import { add, mul } from '../../../export/graph/ops/elementwise.js';
import { tensor } from '../../../export/graph/tensor.js';
import { graphFiles } from '../../../export/model/create.js';
import { networkParameters } from '../../../export/model/graphs.js';
import { weightsLayout } from '../../../export/model/weights.js';
import { irevnet } from '../../../export/networks/irevnet.js';
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
  const twins = add(parameter('w', [2], role), parameter('w', [2], role));
  const weights = inlineFrom(new Map([['w', tensor('float32', [2], [0, 0])]]));
  t.throws(
    () => emit({ name: 'g', inputs: [], outputs: { z: twins } }, weights),
    new GraphError('two values are named w'),
  );
});

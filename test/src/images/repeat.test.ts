import t from 'tap';
import { tensor } from '../../../export/graph/tensor.js';
import { repeated } from '../../../src/images/repeat.js';

t.test('each pixel becomes a square of them', async (t) => {
  const grey = repeated(tensor('uint8', [2, 2, 1, 1], Uint8Array.of(1, 2, 3, 4)), 2);
  t.same(grey.dims, [2, 4, 2, 1]);
  t.same([...grey.data], [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4]);
  const colour = repeated(tensor('uint8', [1, 1, 2, 3], Uint8Array.of(1, 2, 3, 4, 5, 6)), 2);
  t.same(colour.dims, [1, 2, 4, 3]);
  const row = [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6];
  t.same([...colour.data], [...row, ...row]);
});

import t from 'tap';
import { joined, rows } from '../../../export/graph/rows.js';
import { tensor } from '../../../export/graph/tensor.js';

t.test('rows that are adjacent in memory are joined without a copy, others with one', async (t) => {
  const whole = tensor('float32', [4, 2], [9, 9, 1, 2, 3, 4, 5, 6]);
  const [b, c, d] = [1, 2, 3].map((i) => rows(whole, i, i + 1)) as [typeof whole, typeof whole, typeof whole];
  const inPlace = joined([b, c, d]);
  t.same([inPlace.dims, ...inPlace.data], [[3, 2], 1, 2, 3, 4, 5, 6]);
  t.equal(inPlace.data.buffer, whole.data.buffer);
  const copied = joined([d, b]);
  t.same([copied.dims, ...copied.data], [[2, 2], 5, 6, 1, 2]);
  t.not(copied.data.buffer, whole.data.buffer);
});

import t from 'tap';
import { wilson } from '../../../export/model/interval.js';

t.test('the interval is that of Wilson’s score', async (t) => {
  // Newcombe (1998), table I, method 3.
  for (const [correct, count, low, high] of [
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ] as const) {
    const [a, b] = wilson(correct, count);
    t.ok(Math.abs(a - low) < 5e-5 && Math.abs(b - high) < 5e-5, `${correct} of ${count}`, { a, b });
  }
});

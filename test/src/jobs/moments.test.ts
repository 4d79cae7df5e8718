import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { openMoments } from '../../../src/jobs/moments.js';

const random = seeded(5);

/** Mean and covariance by the usual two passes over all rows. */
function twoPasses(rows: Float32Array, channels: number) {
  const count = rows.length / channels;
  const column = (c: number) => Array.from({ length: count }, (_, n) => rows[n * channels + c]!);
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  const mean = Array.from({ length: channels }, (_, c) => sum(column(c)) / count);
  const deviations = mean.map((m, c) => column(c).map((value) => value - m));
  const covariance = deviations.flatMap((a) => deviations.map((b) => sum(a.map((v, n) => v * b[n]!)) / (count - 1)));
  return { mean, covariance };
}

async function statisticsOf(shape: readonly number[], pieces: readonly Float32Array[]) {
  const moments = await openMoments(shape);
  for (const piece of pieces) await moments.add(piece);
  const statistics = await moments.finish();
  await moments.close();
  return statistics;
}

t.test('mean and covariance are those of two passes, even when means are large against deviations', async (t) => {
  // 2,500 rows are two groups and a half.
  for (const [channels, offset] of [
    [1, 0],
    [3, 0],
    [7, 1e4],
    [5, -1e5],
  ] as const) {
    const rows = Float32Array.from({ length: 2500 * channels }, (_, k) => offset + (k % channels) + random());
    for (let k = channels; k < rows.length; k += channels) rows[k]! += rows[k - channels]! - offset;
    const { mean, covariance } = await statisticsOf([channels, 1, 1], [rows]);
    const expected = twoPasses(rows, channels);
    for (let i = 0; i < channels; i++) {
      t.ok(Math.abs(mean[i]! - expected.mean[i]!) <= 1e-14 * Math.abs(expected.mean[i]!));
      for (let j = 0; j < channels; j++) {
        const scale = Math.sqrt(expected.covariance[i * channels + i]! * expected.covariance[j * channels + j]!);
        const error = Math.abs(covariance[i * channels + j]! - expected.covariance[i * channels + j]!) / scale;
        t.ok(error < 1e-12, `offset ${offset}, entry ${i}, ${j}: error ${error}`);
        t.equal(covariance[i * channels + j], covariance[j * channels + i]);
      }
    }
  }
});

t.test('features are averaged over their places', async (t) => {
  const { rows, mean, covariance } = await statisticsOf([1, 2, 2], [Float32Array.of(1, 2, 3, 6, 0, 0, 0, 4)]);
  t.same([rows, ...mean, ...covariance], [2, 2, 2]);
});

t.test('the bytes do not depend on the pieces in which rows come', async (t) => {
  const features = Float32Array.from({ length: 2500 * 12 }, () => 200 * random());
  const whole = await statisticsOf([6, 2, 1], [features]);
  const cuts = [0, 1, 61, 1100, 1100, 2500].map((row) => row * 12);
  const pieces = cuts.slice(1).map((end, i) => features.subarray(cuts[i], end));
  t.same(await statisticsOf([6, 2, 1], pieces), whole);
});

t.test('too few rows have no mean or no covariance', async (t) => {
  t.match(await statisticsOf([2, 1, 1], []), { rows: 0, mean: new Float64Array(2).fill(Number.NaN) });
  const one = await statisticsOf([1, 1, 1], [Float32Array.of(3)]);
  t.same([...one.mean, ...one.covariance], [3, Number.NaN]);
});

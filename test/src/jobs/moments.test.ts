import t from 'tap';
import { seeded } from '../../../export/data/random.js';
import { type Moments, mergeMoments, openMoments, statisticsOf } from '../../../src/jobs/moments.js';
import { rangeOf } from '../../../src/jobs/plan.js';
import { readSums, writeSums } from '../../../src/jobs/sums.js';

const random = seeded(5);
const noise = (length: number, size: number) => Float32Array.from({ length }, () => size * (2 * random() - 1));
const bytes = ({ sums, high, low }: Moments) => Buffer.concat([sums, high, low].map((a) => Buffer.from(a.buffer)));

/** Averages of each image's channels, in units of 2^-16. */
const unitsOf = (features: Float32Array, channels: number, places: number): bigint[][] =>
  Array.from({ length: features.length / channels / places }, (_, n) =>
    Array.from({ length: channels }, (_, c) => {
      const values = features.subarray((n * channels + c) * places, (n * channels + c + 1) * places);
      return BigInt(Math.round((values.reduce((a, b) => a + b, 0) / places) * 2 ** 16));
    }),
  );

t.test('mean and covariance are those of exact sums, for any number of channels and for large values', async (t) => {
  // 16 images of ±250 come near to the limit of exact numbers: sums are carried again and again.
  for (const [channels, size] of [
    [1, 250],
    [2, 250],
    [3, 250],
    [9, 250],
    [5, 3],
  ] as const) {
    const features = noise(500 * channels, size);
    const moments = await openMoments([channels, 1, 1]);
    await moments.add(features);
    const { mean, covariance } = statisticsOf(await moments.finish());
    const units = unitsOf(features, channels, 1);
    const sums = Array.from({ length: channels }, (_, c) => units.reduce((sum, u) => sum + u[c]!, 0n));
    for (let i = 0; i < channels; i++) {
      t.equal(mean[i], Number(sums[i]) / 500 / 2 ** 16);
      for (let j = 0; j < channels; j++) {
        const products = units.reduce((sum, u) => sum + u[i]! * u[j]!, 0n);
        const expected = Number(500n * products - sums[i]! * sums[j]!) / (500 * 499 * 2 ** 32);
        t.equal(covariance[i * channels + j], expected, `${channels}: ${i}, ${j}`);
      }
    }
  }
});

t.test('features are averaged over their places', async (t) => {
  const moments = await openMoments([1, 2, 2]);
  await moments.add(Float32Array.of(1, 2, 3, 6, 0, 0, 0, 4));
  const { mean, covariance } = statisticsOf(await moments.finish());
  t.same([...mean, ...covariance], [2, 2]);
});

t.test('sums are the same bytes in any order, in pieces and merged', async (t) => {
  const shape = [6, 2, 1];
  const features = noise(100 * 12, 200);
  const whole = await openMoments(shape);
  await whole.add(features);
  const piece = async (from: number, to: number) => {
    const moments = await openMoments(shape);
    await moments.add(features.subarray(from * 12, to * 12));
    return readSums(writeSums(await moments.finish()));
  };
  const merged = mergeMoments(mergeMoments(await piece(61, 100), await piece(0, 1)), await piece(1, 61));
  t.same(bytes(merged), bytes(await whole.finish()));
});

t.test('what is too large is left out and counted', async (t) => {
  const moments = await openMoments([2, 1, 1]);
  await moments.add(Float32Array.of(1, 1, 300, 0, 3, 5, 0, Number.NaN, -1, -3, 0, -3e38));
  const all = await moments.finish();
  t.match(all, { images: 3, outside: 3 });
  t.same([...statisticsOf(all).mean], [1, 1]);
});

t.test('shards hold every input once, in order, and are even', async (t) => {
  for (const [inputs, of] of [
    [10, 3],
    [3, 7],
    [10_000, 8],
    [1, 1],
  ] as const) {
    const ranges = Array.from({ length: of }, (_, index) => rangeOf(inputs, { index, of }));
    t.equal(ranges[0]!.from, 0);
    t.equal(ranges.at(-1)!.to, inputs);
    for (const [i, { from, to }] of ranges.entries()) {
      t.equal(from, ranges[i - 1]?.to ?? 0);
      t.ok(Math.abs(to - from - inputs / of) < 1);
    }
  }
});

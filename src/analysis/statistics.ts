import { type Static, Type } from 'typebox';
import { seeded } from '../../export/data/random.js';

/** The option that numbers drawn at random depend on. */
export const seed = Type.Integer({
  minimum: 0,
  default: 1,
  description: 'of random numbers: the same seed, the same result',
});

export const Interval = Type.Tuple([Type.Number(), Type.Number()], { description: '95% interval' });
export type Interval = Static<typeof Interval>;

/** A count of images with its share of all. */
export const Share = Type.Object({
  count: Type.Integer({ description: 'images' }),
  share: Type.Number({ description: 'of all images, 0 to 1' }),
  interval: Interval,
});
export type Share = Static<typeof Share>;

/** The median and the extremes of numbers, one an image. */
export const Spread = Type.Object({
  median: Type.Number(),
  interval: Type.Tuple([Type.Number(), Type.Number()], { description: '95% interval of the median' }),
  minimum: Type.Number(),
  maximum: Type.Number(),
});
export type Spread = Static<typeof Spread>;

/** 97.5% quantile of the normal distribution. */
const Z = 1.959964;

/** The share of successes with Wilson's 95% interval, which holds for shares near 0 and 1 too. Wilson 1927. */
export function shareOf(count: number, all: number): Share {
  const share = count / all;
  const centre = (share + (Z * Z) / (2 * all)) / (1 + (Z * Z) / all);
  const half = (Z / (1 + (Z * Z) / all)) * Math.sqrt((share * (1 - share)) / all + (Z * Z) / (4 * all * all));
  return { count, share, interval: [Math.max(0, centre - half), Math.min(1, centre + half)] };
}

/** A quantile of ascending numbers, linear between neighbours. */
export function quantile(ascending: ArrayLike<number>, q: number): number {
  const at = q * (ascending.length - 1);
  const [low, high] = [ascending[Math.floor(at)]!, ascending[Math.ceil(at)]!];
  return low === high ? low : low + (at - Math.floor(at)) * (high - low);
}

/** Median, its distribution-free interval (order statistics of the binomial distribution) and extremes of some numbers. */
export function spreadOf(numbers: ArrayLike<number>): Spread {
  const ascending = Float64Array.from(numbers).sort();
  const n = ascending.length;
  const reach = (Z * Math.sqrt(n)) / 2;
  const at = (i: number) => ascending[Math.min(n - 1, Math.max(0, i))]!;
  return {
    median: quantile(ascending, 0.5),
    interval: [at(Math.floor(n / 2 - reach)), at(Math.ceil(n / 2 + reach) - 1)],
    minimum: at(0),
    maximum: at(n - 1),
  };
}

/** Ranks from 1; equal numbers share the mean of their ranks. */
export function ranks(numbers: ArrayLike<number>): Float64Array {
  const order = Array.from({ length: numbers.length }, (_, i) => i).sort((a, b) => numbers[a]! - numbers[b]!);
  const result = new Float64Array(numbers.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to < order.length && numbers[order[to]!] === numbers[order[from]!]) to++;
    for (let i = from; i < to; i++) result[order[i]!] = (from + 1 + to) / 2;
    from = to;
  }
  return result;
}

/** Pearson's correlation; null where one of the two does not vary. */
export function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number | null {
  const n = a.length;
  const mean = (x: ArrayLike<number>) => Array.from(x).reduce((sum, v) => sum + v, 0) / n;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [da, db] = [a[i]! - ma, b[i]! - mb];
    ab += da * db;
    aa += da * da;
    bb += db * db;
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : null;
}

export const RankCorrelation = Type.Object({
  spearman: Type.Union([Type.Number(), Type.Null()], {
    description: "Spearman's ρ; null where one of the two is constant",
  }),
  interval: Type.Union([Interval, Type.Null()], { description: '95%, by 1,000 bootstrap samples of the images' }),
});
export type RankCorrelation = Static<typeof RankCorrelation>;

const SAMPLES = 1000;

/** Spearman's rank correlation with a bootstrap interval; ties share their mean rank. */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>, seed = 1): RankCorrelation {
  const rho = correlation(ranks(a), ranks(b));
  if (rho === null) return { spearman: null, interval: null };
  const random = seeded(seed);
  const samples: number[] = [];
  for (let s = 0; s < SAMPLES; s++) {
    const drawn = Array.from({ length: a.length }, () => Math.floor(random() * a.length));
    const found = correlation(ranks(drawn.map((i) => a[i]!)), ranks(drawn.map((i) => b[i]!)));
    if (found !== null) samples.push(found);
  }
  samples.sort((x, y) => x - y);
  return { spearman: rho, interval: [quantile(samples, 0.025), quantile(samples, 0.975)] };
}

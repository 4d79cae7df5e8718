import t from 'tap';
import { experiments } from '../../../src/analysis/experiments.js';
import { shareOf, spreadOf } from '../../../src/analysis/statistics.js';
import type { Verdict } from '../../../src/report/chapter.js';
import { chapters } from '../../../src/report/chapters/index.js';

// Each claim has results on both sides of its threshold. They hold only what the claim reads.
type Cases = readonly (readonly [verdict: Verdict, result: object, because: RegExp])[];

const [YES, NO, OPEN] = ['holds', 'does not hold', 'not testable on this model'] as const;

/** A spread of numbers around a median. */
const about = (median: number) => spreadOf(Array.from({ length: 101 }, (_, i) => median * (1 + (i - 50) / 1000)));

const plain = { grid: null, images: 100, notFinite: 0, error: about(5e-6), exactFloat: shareOf(0, 100) };
const grid = (count: number) => ({ grid: 12, images: 100, exactFloat: shareOf(count, 100) });
const far = (maximum: number) => ({ ...plain, set: 'noise', error: { ...about(1e-7), maximum } });

const accuracy = (share: number) => {
  const { interval } = shareOf(Math.round(1000 * share), 1000);
  return { accuracy: share, interval };
};
const at = (depth: number, svm: number, nearest: number) => ({
  depth,
  svm: accuracy(svm),
  nearestNeighbour: accuracy(nearest),
});
const rising = [at(0, 0.2, 0.2), at(1, 0.5, 0.5), at(2, 0.9, 0.9)];
const controls = (share: number) => ({ rearranged: [at(2, 0.5, 0.5)], randomWeights: [at(2, share, share)] });

const few = (svm: number | null, nearestNeighbour: number | null, dimensions = 256) => ({
  dimensions,
  enough: { svm, nearestNeighbour },
  components: [{ components: 200 }],
});
const streams = (withinOverBetween: number, participationRatio: number) => ({
  streams: [
    { depth: 0, withinOverBetween: 0.5, participationRatio: 10 },
    { depth: 3, withinOverBetween, participationRatio },
  ],
});
const middle = (distance: number, variation: number) => ({
  lines: [
    {},
    { t: 0.5, features: { distance: about(distance), variation: about(variation) }, pixels: { variation: about(20) } },
    {},
  ],
});
const newton = (count: number, change: number, left = 0) => ({
  methods: [
    { method: 'places' },
    {
      method: 'newton',
      predicted: shareOf(count, 100),
      picture: { change: about(change), fromA: about(50) },
      rounded: { predicted: shareOf(left, 100) },
    },
  ],
});
const conditions = (condition: number | null, between: readonly number[] | null = null) => ({
  spectra: [{ largest: 100, condition, smallestBetween: between }],
});
const fgsm = (count: number) => ({
  strengths: [{ strength: 4, fgsm: shareOf(count, 100), noise: shareOf(90, 100) }],
});
const ranked = (spearman: number | null, interval: readonly number[] | null) => ({
  correlations: [{ property: 'largest', images: 48, spearman, interval }],
});

const cases: Readonly<Record<string, readonly Cases[]>> = {
  inversion: [
    [
      [YES, { grids: [plain] }, /^median 5\.0e−6 of 100 images$/],
      [NO, { grids: [{ ...plain, error: about(5.1e-6) }] }, /5\.1e−6/],
      [NO, { grids: [{ ...plain, notFinite: 1 }] }, /^1 of 100 images come back as NaN/],
      [OPEN, { grids: [grid(100)] }, /no round trip on plain floats/],
    ],
    [
      [YES, { grid: 12, grids: [grid(100)] }, /^100 of 100 images, k = 12$/],
      [NO, { grid: 12, grids: [grid(99)] }, /^99 of 100/],
      [OPEN, { grid: null, grids: [plain] }, /plain floats/],
    ],
    [
      [YES, { sets: [far(0.011)] }, /^on noise$/],
      [NO, { sets: [far(0.01)] }, /0\.0100/],
      [YES, { sets: [{ ...far(0), notFinite: 1 }] }, /noise/],
      [OPEN, { sets: [{ ...far(1), set: 'data' }] }, /no images far from the data/],
    ],
  ],
  conditioning: [
    [
      [YES, conditions(1000), /^condition number 1000, median of 1 images$/],
      [NO, conditions(999), /999/],
      [YES, conditions(null, [0, 0.1]), /1000 or more/],
      [NO, conditions(null, [0.2, 0.5]), /200 or more/],
      [OPEN, conditions(null, [0.01, 0.5]), /200 or more; how much more is not known/],
    ],
  ],
  separability: [
    [
      [YES, { depths: rising }, /linear SVM 20\.0% → 90\.0%/],
      [NO, { depths: [at(0, 0.9, 0.2), at(1, 0.9, 0.9)] }, /linear SVM: 90\.0% at first/],
      [NO, { depths: [rising[0], at(1, 0.9, 0.95), at(2, 0.9, 0.9)] }, /nearest training image.*falls before depth 2/],
      [OPEN, { depths: [rising[0]] }, /two or more/],
    ],
    [
      [YES, { depths: rising, controls: controls(0.8) }, /80\.0% \/ 80\.0% with random weights/],
      [NO, { depths: rising, controls: controls(0.89) }, /89\.0%/],
      [OPEN, { depths: rising, controls: null }, /no controls/],
    ],
  ],
  pca: [
    [
      [YES, few(25, 20), /^25 \/ 20 of 256/],
      [NO, few(26, 20), /a tenth are 25/],
      [NO, few(20, null), /20 \/ more than 200/],
      [OPEN, few(1, 1, 19), /19 channels/],
    ],
  ],
  contraction: [
    [
      [YES, streams(0.45, 10), /0\.500 → 0\.450 \(−10\.0%\)/],
      [NO, streams(0.46, 10), /−8\.0%/],
      [OPEN, { streams: [streams(0, 0).streams[0]] }, /two or more/],
    ],
    [
      [YES, streams(0.5, 9), /−10\.0%/],
      [NO, streams(0.5, 12), /\+20\.0%/],
    ],
  ],
  interpolation: [
    [
      [YES, middle(0.1, 20), /0\.100/],
      [NO, middle(0.09, 20), /0\.0900/],
    ],
    [
      [YES, middle(0.1, 25), /25\.0 grey levels against 20\.0 at t = 0\.5/],
      [NO, middle(0.1, 20), /20\.0/],
    ],
  ],
  metamers: [
    [
      [YES, newton(95, 20), /^95\.0% are classified as A; 20\.0 grey levels from B, 50\.0 from A$/],
      [NO, newton(94, 20), /94/],
      [NO, newton(100, 60), /60\.0 grey levels from B/],
      [OPEN, { methods: [] }, /no features/],
    ],
    [
      [YES, newton(100, 20, 95), /^95\.0% are still/],
      [NO, newton(100, 20, 94), /^94/],
      [OPEN, { methods: [] }, /no features/],
    ],
  ],
  robustness: [
    [
      [YES, fgsm(60), /^60\.0% along the gradient, 90\.0% at random, at 4 grey levels$/],
      [NO, fgsm(85), /85/],
    ],
    [
      [YES, ranked(-0.4, [-0.6, -0.1]), /−0\.400 \(−0\.600 to −0\.100\), 48 images/],
      [NO, ranked(-0.4, [-0.6, 0.1]), /0\.100/],
      [OPEN, ranked(null, null), /same strength/],
    ],
  ],
  metamer: [],
  neighbours: [],
  image: [],
};

t.test('every experiment has a chapter, and every claim is decided on both sides of its threshold', async (t) => {
  t.same(chapters.map(({ experiment }) => experiment).sort(), Object.keys(experiments).sort());
  for (const { experiment, claims } of chapters) {
    t.equal(cases[experiment]!.length, claims.length, experiment);
    for (const [i, claim] of claims.entries()) {
      const tried = cases[experiment]![i]!;
      t.same(
        [YES, NO].filter((verdict) => !tried.some(([expected]) => expected === verdict)),
        [],
        claim.says,
      );
      for (const [verdict, result, because] of tried) {
        const found = claim.judge(result);
        t.equal(found.verdict, verdict, `${claim.says} ${found.because}`);
        t.match(found.because, because);
      }
    }
  }
});

t.test('texts are sentences, and a threshold completes one', async (t) => {
  for (const { claims, measures } of chapters) {
    t.match(measures, /^[A-Z].*\.$/s);
    for (const { says, threshold } of claims) {
      t.match(says, /^[A-Z].*\.$/);
      t.match(threshold, /^[a-z].*[^.]$/);
    }
  }
});

import type { Static } from 'typebox';
import { conditioning as experiment, type Spectrum } from '../../analysis/conditioning.js';
import { spreadOf } from '../../analysis/statistics.js';
import { chapter, type Finding, holdsIf, type Judgement, PAPER, untestable } from '../chapter.js';
import { figures, middle, percent } from '../words.js';

type Result = Static<typeof experiment.result>;

/** Three of the seven decimal digits of float32 are lost where a linear system of this condition is solved. */
const ILL = 1000;

function findings({ largest, condition, spectra, inputs, window }: Result): Finding[] {
  const within = spectra.flatMap(({ withinTwo }) => (withinTwo === null ? [] : [withinTwo]));
  const logs = spectra.flatMap(({ sumOfLogs }) => (sumOfLogs === null ? [] : [Math.abs(sumOfLogs)]));
  const where = window === null ? `${inputs} inputs` : `a window of ${window} × ${window} pixels, ${inputs} inputs`;
  return [
    { what: `largest singular value of ∂Φ, median of ${spectra.length} images, ${where}`, ...middle(largest) },
    ...(condition ? [{ what: 'condition number, median', ...middle(condition) }] : []),
    ...(within.length > 0
      ? [{ what: 'singular values from 1/2 to 2, median share', value: percent(spreadOf(within).median) }]
      : []),
    ...(logs.length > 0
      ? [{ what: '|Σ log σ|, at most', value: figures(Math.max(...logs)), control: '0 for additive couplings' }]
      : []),
  ];
}

/** Between what the condition number at an image lies. */
function conditionBetween({ largest, condition, smallestBetween }: Spectrum): [number, number] {
  if (condition !== null) return [condition, condition];
  const [low, high] = smallestBetween ?? [0, Number.POSITIVE_INFINITY];
  return [largest / high, low > 0 ? largest / low : Number.POSITIVE_INFINITY];
}

function illConditioned({ spectra }: Result): Judgement {
  const between = spectra.map(conditionBetween);
  const [low, high] = [0, 1].map((end) => spreadOf(between.map((ends) => ends[end]!)).median) as [number, number];
  const words = low === high ? figures(low) : `${figures(low)} or more`;
  if (low >= ILL || high < ILL)
    return holdsIf(low >= ILL, `condition number ${words}, median of ${spectra.length} images`);
  return untestable(`the condition number is ${words}; how much more is not known`);
}

export const conditioning = chapter(experiment, {
  measures:
    'The Jacobian ∂Φ at an image tells what becomes of small changes of it; its singular values are the factors by which changes are stretched or shrunk, and their ratio, the condition number, tells how many digits are lost when the change is computed back by solving a linear system. The explicit inverse needs no such system: see the inversion error. Additive couplings keep volumes, so the logarithms of all singular values sum to 0, which checks the computation.',
  options: { images: 3 },
  findings,
  claims: [
    {
      says: 'The local inversion is ill-conditioned: the singular values of ∂Φ decay fast.',
      source: PAPER,
      threshold: 'the median condition number is at least 1,000: three of float32’s seven digits are lost',
      judge: illConditioned,
    },
  ],
});

import type { Static } from 'typebox';
import { robustness as experiment } from '../../analysis/robustness.js';
import { chapter, type Finding, holdsIf, type Judgement, untestable } from '../chapter.js';
import { above, figures, middle, percent, range, shared } from '../words.js';

type Result = Static<typeof experiment.result>;

const properties = { gradient: 'norm of the gradient', largest: 'largest singular value', margin: 'margin' } as const;

const levels = (strength: number): string => `${strength} grey level${strength === 1 ? '' : 's'}`;

const findings = ({ images, accuracy, strengths, withstood, correlations }: Result): Finding[] => [
  { what: `accuracy on ${images} images as they are`, ...shared(accuracy) },
  ...strengths.map(({ strength, fgsm, noise }) => ({
    what: `accuracy after a step of ${levels(strength)} along the gradient`,
    ...shared(fgsm),
    control: `${percent(noise.share)} at random`,
  })),
  { what: 'strength that an image withstands, grey levels, median', ...middle(withstood) },
  ...correlations.map(({ property, spearman, interval, images: n }) => ({
    what: `rank correlation of that with the ${properties[property]}, ${n} images`,
    value: spearman === null ? 'none: constant' : figures(spearman),
    interval: interval === null ? undefined : range(interval as [number, number]),
  })),
];

function directed({ strengths }: Result): Judgement {
  const found = strengths.find(({ fgsm, noise }) => above(noise.interval, fgsm.interval));
  const { strength, fgsm, noise } = found ?? strengths.at(-1)!;
  return holdsIf(
    found !== undefined,
    `${percent(fgsm.share)} along the gradient, ${percent(noise.share)} at random, at ${levels(strength)}`,
  );
}

function stretched({ correlations }: Result): Judgement {
  const found = correlations.find(({ property }) => property === 'largest');
  if (found === undefined || found.spearman === null || found.interval === null)
    return untestable('all images withstand the same strength, or have the same largest singular value');
  const words = `Spearman’s ρ = ${figures(found.spearman)} (${range(found.interval as [number, number])})`;
  return holdsIf(found.interval[1] < 0, `${words}, ${found.images} images`);
}

export const robustness = chapter(experiment, {
  measures:
    'Every pixel of a test image is moved by some grey levels, up or down as the sign of the gradient of the loss says (FGSM); the control moves them as far, up or down at random. For images that are classified rightly, the largest strength that leaves them so is compared, by ranks, with the gradient, with the largest singular value of ∂Φ and with the margin. This needs no inverse.',
  options: { spectra: 48 },
  findings,
  claims: [
    {
      says: 'A small step along the gradient does more harm than a random one.',
      source: 'Goodfellow, Shlens, Szegedy 2015',
      threshold: 'at some strength accuracy is below that after random steps; 95% intervals apart',
      judge: directed,
    },
    {
      says: 'The more Φ stretches changes of an image, the less the image withstands.',
      source: 'after Tsuzuku, Sato, Sugiyama 2018',
      threshold: 'the 95% interval of the rank correlation with the largest singular value is below 0',
      judge: stretched,
    },
  ],
});

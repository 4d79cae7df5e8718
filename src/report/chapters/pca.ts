import type { Static } from 'typebox';
import { pca as experiment } from '../../analysis/pca.js';
import { chapter, type Finding, holdsIf, type Judgement, PAPER, untestable } from '../chapter.js';
import { percent, range } from '../words.js';

type Result = Static<typeof experiment.result>;

/** The share of the channels that counts as few: the paper's 200 of 3,072 are a fifteenth. */
const FEW = 0.1;

const shown = [1, 2, 5, 10, 20, 50, 100, 200];

const findings = ({ dimensions, all, components, enough }: Result): Finding[] => [
  ...components
    .filter((row) => shown.includes(row.components))
    .map(({ components: k, explained, svm, nearestNeighbour }) => ({
      what: `linear SVM on the first ${k} of ${dimensions} components, with ${percent(explained)} of the variance`,
      value: percent(svm.accuracy),
      interval: range(svm.interval as [number, number], percent),
      control: `${percent(nearestNeighbour.accuracy)} nearest training image`,
    })),
  {
    what: `linear SVM on all ${dimensions} channels`,
    value: percent(all.svm.accuracy),
    interval: range(all.svm.interval as [number, number], percent),
    control: `${percent(all.nearestNeighbour.accuracy)} nearest training image`,
  },
  {
    what: 'fewest components within one point of all',
    value: String(enough.svm ?? 'more than were tried'),
    control: `${enough.nearestNeighbour ?? 'more than were tried'} nearest training image`,
  },
];

function fewSuffice({ dimensions, enough, components }: Result): Judgement {
  const most = Math.floor(FEW * dimensions);
  if (most < 2)
    return untestable(`the final features have ${dimensions} channels; a tenth of them is no space to look at`);
  const needed = [enough.svm, enough.nearestNeighbour];
  const tried = Math.max(...components.map((row) => row.components));
  const words = needed.map((k) => k ?? `more than ${tried}`).join(' / ');
  const few = needed.every((k) => k !== null && k <= most);
  return holdsIf(few, `${words} of ${dimensions} (SVM / nearest image); a tenth are ${most}`);
}

export const pca = chapter(experiment, {
  measures:
    'The averaged final features are rotated into their principal components, the directions in which the training images vary most. Both classifiers are then given only the first few of them. If a few are enough, the classes lie in a small part of the space, although the whole space is needed to bring an image back.',
  options: { points: 300 },
  findings,
  claims: [
    {
      says: 'Few principal components of the final features suffice for nearly the full accuracy (200 of 3,072 on ImageNet).',
      source: PAPER,
      threshold: 'both classifiers come within one point of all channels with at most a tenth of the components',
      judge: fewSuffice,
    },
  ],
});

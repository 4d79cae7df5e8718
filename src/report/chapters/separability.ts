import type { Static } from 'typebox';
import { separability as experiment } from '../../analysis/separability.js';
import { chapter, type Finding, holdsIf, type Judgement, PAPER, untestable } from '../chapter.js';
import { above, percent, range } from '../words.js';

type Result = Static<typeof experiment.result>;
type AtDepth = Result['depths'][number];

const classifiers = { svm: 'linear SVM', nearestNeighbour: 'nearest training image' } as const;
const names = Object.keys(classifiers) as (keyof typeof classifiers)[];

function findings({ depths, controls }: Result): Finding[] {
  const last = depths.at(-1)!;
  const shown = [...new Set([depths[0]!, depths[Math.floor(depths.length / 2)]!, last])];
  return shown.flatMap((at) => names.map((name) => row(at, name, at === last ? controls : null)));
}

function row(at: AtDepth, name: keyof typeof classifiers, controls: Result['controls']): Finding {
  const { accuracy, interval } = at[name];
  const others = controls && [
    ...(controls.rearranged ? [`${percent(controls.rearranged.at(-1)![name].accuracy)} ψ alone`] : []),
    `${percent(controls.randomWeights.at(-1)![name].accuracy)} random weights`,
    ...(controls.pixels[name] ? [`${percent(controls.pixels[name].accuracy)} raw pixels`] : []),
  ];
  return {
    what: `accuracy after ${at.depth} blocks (${at.dimensions} channels), ${classifiers[name]}`,
    value: percent(accuracy),
    interval: range(interval as [number, number], percent),
    control: others?.join(', '),
  };
}

/** The last depth is above the first, and none is below an earlier one by more than chance explains. */
function rises({ depths }: Result): Judgement {
  if (depths.length < 2) return untestable('one depth was looked at; two or more show whether accuracy rises');
  for (const name of names) {
    const intervals = depths.map((at) => at[name].interval);
    const [first, last] = [depths[0]![name].accuracy, depths.at(-1)![name].accuracy];
    const words = `${classifiers[name]}: ${percent(first)} at first, ${percent(last)} at the end`;
    if (!above(intervals.at(-1)!, intervals[0]!)) return holdsIf(false, words);
    const falls = depths.find((_, i) => intervals.slice(0, i).some((earlier) => above(earlier, intervals[i]!)));
    if (falls) return holdsIf(false, `${words}; it falls before depth ${falls.depth}`);
  }
  const change = (name: keyof typeof classifiers) =>
    `${classifiers[name]} ${percent(depths[0]![name].accuracy)} → ${percent(depths.at(-1)![name].accuracy)}`;
  return holdsIf(true, names.map(change).join(', '));
}

function learned({ depths, controls }: Result): Judgement {
  if (controls === null) return untestable('the run has no controls');
  const last = depths.at(-1)!;
  const others = { 'ψ alone': controls.rearranged?.at(-1), 'random weights': controls.randomWeights.at(-1) };
  const rows = Object.entries(others).flatMap(([control, at]) => (at ? [{ control, at }] : []));
  const better = rows.every(({ at }) => names.every((name) => above(last[name].interval, at[name].interval)));
  const best = (at: AtDepth) => names.map((name) => percent(at[name].accuracy)).join(' / ');
  const words = rows.map(({ control, at }) => `${best(at)} with ${control}`).join(', ');
  return holdsIf(better, `${best(last)} (SVM / nearest image) at the end, ${words}`);
}

export const separability = chapter(experiment, {
  measures:
    'The state after every block, each channel averaged over its places and standardised on the training images, goes to two simple classifiers: a linear SVM whose C is chosen by cross-validation, and the nearest training image. What they get right tells how far the blocks so far have pulled the classes apart. Deeper states have more channels, which alone helps a classifier; so the same is done with the network without its learned branches (ψ alone), with random weights, and with raw pixels.',
  findings,
  claims: [
    {
      says: 'The classes become more and more separable with depth, for a linear SVM and for the nearest neighbour alike.',
      source: PAPER,
      threshold:
        'for both classifiers the last depth is above the first, and no depth is below an earlier one; 95% intervals apart',
      judge: rises,
    },
    {
      says: 'The rise comes from what the blocks learned, not from the number of channels.',
      source: 'the controls of this report',
      threshold: 'at the last depth both classifiers are above ψ alone and above random weights; 95% intervals apart',
      judge: learned,
    },
  ],
});

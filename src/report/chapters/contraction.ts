import type { Static } from 'typebox';
import { contraction as experiment } from '../../analysis/contraction.js';
import { chapter, type Finding, holdsIf, type Judgement, PAPER, untestable } from '../chapter.js';
import { figures, percent, range } from '../words.js';

type Result = Static<typeof experiment.result>;

/** How much a number has to fall from the first to the last depth, as a share of the first. */
const LEAST = 0.1;

const arrow = (from: number | null, to: number | null): string =>
  `${from === null ? '?' : figures(from)} → ${to === null ? '?' : figures(to)}`;

function findings({ averaged, streams }: Result): Finding[] {
  const [a, b] = [averaged[0]!, averaged.at(-1)!];
  const [s, e] = [streams[0]!, streams.at(-1)!];
  const both = (what: string, key: 'withinOverBetween' | 'participationRatio' | 'intrinsicDimension'): Finding => ({
    what: `${what}, from depth ${s.depth} to ${e.depth}`,
    value: arrow(s[key], e[key]),
    control: `${arrow(a[key], b[key])} averaged channels`,
  });
  return [
    both('squared distances within over between classes, whole streams', 'withinOverBetween'),
    both('effective rank (participation ratio), whole streams', 'participationRatio'),
    both('intrinsic dimension (TwoNN), whole streams', 'intrinsicDimension'),
    { what: 'separation tr(Sw⁻¹ Sb) of averaged channels', value: arrow(a.separation, b.separation) },
    {
      what: 'test images nearest to the mean of their class after whitening, at the end',
      value: percent(b.nearestWhitenedMean.accuracy),
      interval: range(b.nearestWhitenedMean.interval as [number, number], percent),
      control: `${percent(b.nearestMean.accuracy)} before whitening`,
    },
    ...(e.correlation === null
      ? []
      : [
          {
            what: 'correlation of the final streams with ψ alone (1: pixels rearranged)',
            value: figures(e.correlation),
          },
        ]),
  ];
}

/** Whether a number of the whole streams, whose size does not change, is smaller at the last depth. */
function falls({ streams }: Result, key: 'withinOverBetween' | 'participationRatio'): Judgement {
  if (streams.length < 2) return untestable('one depth was looked at; two or more show a change');
  const [first, last] = [streams[0]![key], streams.at(-1)![key]];
  const change = (last - first) / first;
  return holdsIf(
    last <= (1 - LEAST) * first,
    `${arrow(first, last)} (${change > 0 ? '+' : '−'}${percent(Math.abs(change))})`,
  );
}

export const contraction = chapter(experiment, {
  measures:
    'Distances between images of one class are compared with those between images of different classes, on whole streams of test images and on averaged channels of training images; the effective rank tells over how many directions the variance is spread, the intrinsic dimension on how wide a surface the images lie. Whitening within the classes shows what a linear classifier can use. The correlation with ψ alone tells how far the network only rearranges pixels.',
  findings,
  claims: [
    {
      says: 'With depth, images of one class contract against images of other classes.',
      source: PAPER,
      threshold: 'within over between classes, on whole streams, is at least a tenth smaller at the last depth',
      judge: (result) => falls(result, 'withinOverBetween'),
    },
    {
      says: 'With depth, the variance concentrates in few directions.',
      source: PAPER,
      threshold: 'the participation ratio of whole streams is at least a tenth smaller at the last depth',
      judge: (result) => falls(result, 'participationRatio'),
    },
  ],
});

import type { Static } from 'typebox';
import { neighbours as experiment } from '../../analysis/neighbours.js';
import { chapter, type Finding } from '../chapter.js';
import { figures, percent } from '../words.js';

type Result = Static<typeof experiment.result>;

const findings = ({ depths, names }: Result): Finding[] =>
  depths.map(({ depth, images }) => {
    const all = images.flatMap((row, i) => row.map(({ label }) => label === names[i]));
    const nearest = images.map(([first]) => first!.distance);
    return {
      what: `neighbours of the same class after ${depth} blocks, of ${all.length}`,
      value: percent(all.filter(Boolean).length / all.length),
      control: `nearest at ${figures(Math.min(...nearest))} to ${figures(Math.max(...nearest))} standard deviations`,
    };
  });

export const neighbours = chapter(experiment, {
  measures:
    'The training images that are nearest to a few test images, by the distance between standardised averaged features, at the last depth of each width: what the network takes for alike. No statement is tested; look for what the neighbours have in common.',
  options: { images: 3 },
  findings,
  claims: [],
});

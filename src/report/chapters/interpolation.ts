import type { Static } from 'typebox';
import { interpolation as experiment } from '../../analysis/interpolation.js';
import { chapter, type Finding, holdsIf, type Judgement } from '../chapter.js';
import { above, figures, middle, percent } from '../words.js';

type Result = Static<typeof experiment.result>;

/** How far from the pixel line, in lengths of that line, is no longer the pixel line. */
const OFF = 0.1;

const midpoint = ({ lines }: Result): Result['lines'][number] => lines[Math.floor(lines.length / 2)]!;

function findings(result: Result): Finding[] {
  const { t, features, pixels, endClass, endClassOfPixels } = midpoint(result);
  return [
    { what: `distance from the pixel line at t = ${t}, lengths of the line, median`, ...middle(features.distance) },
    {
      what: `total variation at t = ${t}, grey levels, median`,
      ...middle(features.variation),
      control: `${figures(pixels.variation.median)} between the pixels`,
    },
    { what: `how far pixels leave 0 … 255 at t = ${t}, RMS in grey levels, median`, ...middle(features.excess) },
    {
      what: `pictures at t = ${t} that are classified as one of the ends`,
      value: percent(endClass),
      control: `${percent(endClassOfPixels)} between the pixels`,
    },
  ];
}

function curved(result: Result): Judgement {
  const { t, features } = midpoint(result);
  const { median } = features.distance;
  return holdsIf(median >= OFF, `median distance ${figures(median)} of the line’s length at t = ${t}`);
}

function noisy(result: Result): Judgement {
  const { t, features, pixels } = midpoint(result);
  const [own, other] = [features.variation, pixels.variation];
  return holdsIf(
    above(own.interval, other.interval),
    `total variation ${figures(own.median)} grey levels against ${figures(other.median)} at t = ${t}`,
  );
}

export const interpolation = chapter(experiment, {
  measures:
    'The features of two images are joined by a straight line, and points of it are decoded: every one is a picture, because Φ has an inverse everywhere. The control is the line between the pixels of the same two images, which only fades one into the other. How far decoded pictures are from it, whether they leave the range of pixels and how much they vary from pixel to pixel tells what the features have made of the picture. Blends of four images and class means are treated alike.',
  options: { shown: 2, grid: 4 },
  findings,
  claims: [
    {
      says: 'A straight line between features is not a straight line between images.',
      source: 'a question of this report',
      threshold: 'the median distance from the pixel line is at least a tenth of its length in the middle',
      judge: curved,
    },
    {
      says: 'The pictures in between are noisy.',
      source: 'a question of this report',
      threshold: 'the median total variation in the middle is above that between the pixels; 95% intervals apart',
      judge: noisy,
    },
  ],
});

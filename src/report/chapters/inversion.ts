import type { Static } from 'typebox';
import { inversion as experiment } from '../../analysis/inversion.js';
import { chapter, type Finding, holdsIf, type Judgement, PAPER, untestable } from '../chapter.js';
import { figures, middle, percent, shared } from '../words.js';

type Result = Static<typeof experiment.result>;
type Grid = Result['grid'];

/** The largest relative error of the paper. */
const PUBLISHED = 5e-6;
/** A relative error that is seen in a picture. */
const EXPLODED = 0.01;

const onGrid = <R extends { grid: Grid }>(rows: readonly R[], grid: Grid): R | undefined =>
  rows.find((row) => row.grid === grid);
const named = (grid: Grid): string => (grid === null ? 'plain floats' : `grid of k = ${grid}`);

function findings({ grid, grids, sets, border }: Result): Finding[] {
  const own = onGrid(grids, grid)!;
  const plain = onGrid(grids, null);
  const rows = sets.filter((set) => set.grid === grid && set.set !== 'data');
  return [
    {
      what: `test images back in every float32 bit, ${named(grid)}`,
      ...shared(own.exactFloat),
      control: plain && grid !== null ? `${percent(plain.exactFloat.share)} on plain floats` : undefined,
    },
    ...(own.exactPixels
      ? [{ what: `test images back in every pixel, ${named(grid)}`, ...shared(own.exactPixels) }]
      : []),
    ...(plain?.error
      ? [
          {
            what: 'relative error on plain floats, median',
            ...middle(plain.error),
            control: `${figures(plain.error.maximum)} at most`,
          },
        ]
      : []),
    ...rows.map(({ set, description, exactFloat }) => ({
      what: `${set} (${description}): back in every bit`,
      ...shared(exactFloat),
      control: otherError(sets, set),
    })),
    ...(border
      ? [
          {
            what: 'what decoding a midpoint puts into the cropped border, grey levels',
            ...middle(border.rms),
            control: `${figures(border.control.median)} for features of images`,
          },
        ]
      : []),
  ];
}

function otherError(sets: Result['sets'], set: string): string | undefined {
  const plain = sets.find((row) => row.set === set && row.grid === null);
  if (plain === undefined) return undefined;
  return `error on plain floats: ${plain.error ? figures(plain.error.median) : 'not finite'}`;
}

function asPublished({ grids }: Result): Judgement {
  const plain = onGrid(grids, null);
  if (plain === undefined) return untestable('the run has no round trip on plain floats');
  if (plain.error === null || plain.notFinite > 0)
    return holdsIf(false, `${plain.notFinite} of ${plain.images} images come back as NaN or infinite`);
  return holdsIf(plain.error.median <= PUBLISHED, `median ${figures(plain.error.median)} of ${plain.images} images`);
}

function exact({ grid, grids }: Result): Judgement {
  if (grid === null) return untestable('the network computes on plain floats');
  const { exactFloat, images } = onGrid(grids, grid)!;
  return holdsIf(exactFloat.count === images, `${exactFloat.count} of ${images} images, k = ${grid}`);
}

function explodes({ sets }: Result): Judgement {
  const plain = sets.filter((set) => set.grid === null && set.set !== 'data');
  if (plain.length === 0) return untestable('the run has no images far from the data on plain floats');
  const far = plain.filter(({ error, notFinite }) => notFinite > 0 || error === null || error.maximum > EXPLODED);
  const worst = Math.max(...plain.map(({ error }) => error?.maximum ?? Number.POSITIVE_INFINITY));
  return holdsIf(
    far.length > 0,
    far.length > 0
      ? `on ${far.map(({ set }) => set).join(', ')}`
      : `the largest error of all images is ${figures(worst)}`,
  );
}

export const inversion = chapter(experiment, {
  measures:
    'Every image is encoded and its features are decoded again. The relative error is the length of the difference over the length of the image; an image is exact when every float32 bit comes back. This is done for test images, for noise and for images far from the data, on the grid of the model, on other grids and on plain floats, and from every depth.',
  findings,
  claims: [
    {
      says: 'The explicit inverse brings images back with a relative error of 3e-6 to 5e-6.',
      source: PAPER,
      threshold: 'the median over test images is at most 5e-6 on plain floats, and all are finite',
      judge: asPublished,
    },
    {
      says: 'On a fixed-point grid the inverse is exact: every image comes back in every float32 bit.',
      source: 'irevnet, docs/researcher.md',
      threshold: 'all test images come back so, on the grid of the model',
      judge: exact,
    },
    {
      says: 'Far from the data the inverse can explode.',
      source: 'Behrmann et al. 2021, Exploding Inverses',
      threshold: 'some image of some other set comes back with a relative error above 1% on plain floats',
      judge: explodes,
    },
  ],
});

import type { Static } from 'typebox';
import { metamers as experiment } from '../../analysis/metamers.js';
import { chapter, type Finding, holdsIf, type Judgement, untestable } from '../chapter.js';
import { figures, percent, shared } from '../words.js';

type Result = Static<typeof experiment.result>;

/** The share of the pairs in which the classifier has to be deceived. */
const MOST = 0.95;

const INVARIANCE = 'Jacobsen et al. 2019, Excessive Invariance';

const findings = ({ methods }: Result): Finding[] =>
  methods.flatMap(({ method, description, target, predicted, picture, rounded }) => [
    { what: `${method} (${description}): classified as ${target}`, ...shared(predicted) },
    {
      what: `${method}: the same as a picture of 8 bits`,
      ...shared(rounded.predicted),
      control: `${figures(picture.change.median)} grey levels from B, ${figures(picture.fromA.median)} from A (RMS)`,
    },
  ]);

const byNewton = ({ methods }: Result) => methods.find(({ method }) => method === 'newton');

function deceived(result: Result): Judgement {
  const found = byNewton(result);
  if (found === undefined) return untestable('the run has no features that were moved by Newton steps');
  const { predicted, picture } = found;
  const like = picture.change.median < picture.fromA.median;
  return holdsIf(
    predicted.share >= MOST && like,
    `${percent(predicted.share)} are classified as A; ${figures(picture.change.median)} grey levels from B, ${figures(picture.fromA.median)} from A`,
  );
}

function survives(result: Result): Judgement {
  const found = byNewton(result);
  if (found === undefined) return untestable('the run has no features that were moved by Newton steps');
  const { predicted } = found.rounded;
  return holdsIf(predicted.share >= MOST, `${percent(predicted.share)} are still classified as A`);
}

export const metamers = chapter(experiment, {
  measures:
    'Because Φ has an inverse, features can be changed at will and looked at as pictures. For pairs of images A and B, the features of B are changed so that the classifier cannot tell them from A’s, or from B’s: by permuting places, over which the head averages, and by Newton steps through the head alone. A random step of the same length is the control. At last the picture is clipped, rounded to 8 bits and encoded again.',
  options: { shown: 4 },
  findings,
  claims: [
    {
      says: 'There are pictures that look like one image and have the logits of another.',
      source: INVARIANCE,
      threshold:
        'at least 95% of the pairs are classified as A after the Newton steps, and the median picture is nearer to B',
      judge: deceived,
    },
    {
      says: 'They remain so as ordinary pictures of 8 bits.',
      source: 'a question of this report',
      threshold: 'at least 95% of the pairs are classified as A after clipping, rounding and encoding again',
      judge: survives,
    },
  ],
});

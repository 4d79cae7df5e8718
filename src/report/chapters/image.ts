import type { Static } from 'typebox';
import { image as experiment } from '../../analysis/image.js';
import { chapter, type Finding } from '../chapter.js';
import { figures, percent } from '../words.js';

type Result = Static<typeof experiment.result>;

const findings = ({ top, margin, inversion, gradient, spectrum }: Result): Finding[] => [
  { what: `probability of ${top[0]!.label}`, value: percent(top[0]!.probability) },
  { what: 'largest logit minus the second', value: figures(margin) },
  ...(inversion
    ? [
        {
          what: 'what comes back',
          value: inversion.exactFloat ? 'every float32 bit' : `relative error ${figures(inversion.relativeError)}`,
        },
      ]
    : []),
  { what: 'norm of the gradient, per grey level', value: figures(gradient) },
  ...(spectrum?.condition ? [{ what: 'condition number of ∂Φ', value: figures(spectrum.condition) }] : []),
];

export const image = chapter(experiment, {
  measures:
    'One picture from end to end: what the network sees, its best labels, what comes back and what does not, the spectrum of ∂Φ there, and the channels that vary most after some of the blocks. No statement is tested.',
  options: { channels: 6 },
  findings,
  claims: [],
});

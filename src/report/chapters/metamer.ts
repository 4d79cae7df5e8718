import type { Static } from 'typebox';
import { metamer as experiment } from '../../analysis/metamer.js';
import { chapter, type Finding } from '../chapter.js';
import { figures, percent } from '../words.js';

type Result = Static<typeof experiment.result>;

const findings = ({ a, b, moved, permuted }: Result): Finding[] =>
  [
    { name: `${b.label}, with the scores of ${a.label}`, of: moved },
    ...(permuted ? [{ name: `${a.label}, its places permuted`, of: permuted }] : []),
  ].flatMap(({ name, of }) => [
    { what: `${name}: largest difference of a logit`, value: figures(of.difference) },
    { what: `${name}: its features moved, of their length`, value: percent(of.moved) },
    { what: `${name}: in 8 bits it is taken for`, value: of.rounded.label },
  ]);

export const metamer = chapter(experiment, {
  measures:
    'Two pictures by themselves: the second with its features moved until its scores are those of the first, and the first with the places of its final features permuted, of which the classifier sees the average alone. No statement is tested; the chapter on metamers does so on many pictures.',
  findings,
  claims: [],
});

import type { Static } from 'typebox';
import type { Experiment } from '../analysis/experiment.js';

export const verdicts = ['holds', 'does not hold', 'not testable on this model'] as const;
export type Verdict = (typeof verdicts)[number];

/** A verdict, with the numbers that it rests on, in words. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly because: string;
}

export const holdsIf = (condition: boolean, because: string): Judgement => ({
  verdict: condition ? 'holds' : 'does not hold',
  because,
});

export const untestable = (because: string): Judgement => ({ verdict: 'not testable on this model', because });

/** Something that was said of such networks, and when it counts as true of a result. */
export interface Claim<R> {
  readonly says: string;
  /** Who says so, and where. */
  readonly source: string;
  /** What decides, with its number. */
  readonly threshold: string;
  judge(result: R): Judgement;
}

/** A row of the table of a chapter. */
export interface Finding {
  readonly what: string;
  readonly value: string;
  /** 95%, in the unit of the value. */
  readonly interval?: string | undefined;
  /** The same number where the effect cannot be. */
  readonly control?: string | undefined;
}

/** What a report says of an experiment. Everything is a pure function of the result. */
export interface Chapter<R = unknown> {
  readonly experiment: string;
  /** What is measured and how, in a paragraph. */
  readonly measures: string;
  /** Options that keep the figure small, beside the experiment's defaults. */
  readonly options?: object;
  findings(result: R): Finding[];
  readonly claims: readonly Claim<R>[];
}

/** A chapter whose functions are checked against the schema of the experiment's result. */
export const chapter = <E extends Experiment>(
  experiment: E,
  rest: Omit<Chapter<Static<E['result']>>, 'experiment'>,
): Chapter => ({ experiment: experiment.name, ...rest }) as Chapter;

export const PAPER = 'Jacobsen, Smeulders, Oyallon 2018';

import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, closedLoop } from './load.js';
import type { Subject } from './subjects.js';

/** A load, with something done in the middle of it; gives every answer, and when that was. */
export async function during(
  { requests }: Pick<Subject, 'requests'>,
  base: string,
  { clients, seconds }: { readonly clients: number; readonly seconds: number },
  act: () => void,
) {
  const answers: Answer[] = [];
  const load = closedLoop(base, requests, { clients, seconds, onAnswer: (answer) => answers.push(answer) });
  await sleep((1 + seconds / 2) * 1000);
  const at = performance.now();
  act();
  await load;
  return { answers, at };
}

/** Answers by status. */
export function count(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

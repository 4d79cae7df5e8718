import type { Check } from '../../export/model/validate.js';

/** Prints a warning about the magnitudes of streams. @throws Error when they are too near the limit of exact sums */
export function requireHeadroom({ check, detail, outcome }: Check): void {
  if (outcome === 'failed') throw new Error(`${check}: ${detail}`);
  if (outcome === 'warning') process.stderr.write(`warning: ${check}: ${detail}\n`);
}

import type { Check } from '../../export/model/validate.js';

/** Passes on a warning about stream magnitudes. @throws Error where they are too near the limit of exact sums */
export function requireHeadroom({ check, detail, outcome }: Check): void {
  if (outcome === 'failed') throw new Error(`${check}: ${detail}`);
  if (outcome === 'warning') process.stderr.write(`warning: ${check}: ${detail}\n`);
}

export interface Schedule {
  readonly peak: number;
  readonly kind: 'one-cycle' | 'cosine';
}

/** The share of a one-cycle schedule in which the rate rises, and the rate at its start over the peak. */
const RISE = 0.2;
const START = 1 / 25;

/**
 * Learning rate at a step of `total`. 'one-cycle' rises linearly from a 25th of the peak over the first fifth, then
 * falls to zero along a cosine (Smith and Topin 2019); 'cosine' only falls (Loshchilov and Hutter 2017).
 */
export function learningRateAt(step: number, total: number, { peak, kind }: Schedule): number {
  const rise = kind === 'one-cycle' ? Math.floor(RISE * total) : 0;
  if (step < rise) return peak * (START + (1 - START) * (step / rise));
  return (peak * (1 + Math.cos((Math.PI * (step - rise)) / Math.max(1, total - rise)))) / 2;
}

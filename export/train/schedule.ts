/** The course of the learning rate. */
export interface Schedule {
  readonly kind: 'one-cycle' | 'cosine' | 'steps';
  readonly peak: number;
  /** Of 'steps': after these epochs the rate is multiplied by the factor. */
  readonly decayAfter?: readonly number[] | undefined;
  readonly decayFactor?: number | undefined;
}

/** Where a run is: the steps that are done, those of an epoch, and those of the whole schedule. */
export interface Progress {
  readonly step: number;
  readonly perEpoch: number;
  readonly total: number;
}

/** The share of a one-cycle schedule in which the rate rises, and the rate at its start over the peak. */
const RISE = 0.2;
const START = 1 / 25;

/**
 * Learning rate of the next step. 'one-cycle' rises linearly from a 25th of the peak over the first fifth, then
 * falls to zero along a cosine (Smith and Topin 2019); 'cosine' only falls (Loshchilov and Hutter 2017); 'steps' is
 * multiplied by a factor after some epochs (He et al. 2016).
 */
export function learningRateAt({ step, perEpoch, total }: Progress, schedule: Schedule): number {
  const { kind, peak, decayAfter = [], decayFactor = 1 } = schedule;
  if (kind === 'steps') return peak * decayFactor ** decayAfter.filter((epoch) => step >= epoch * perEpoch).length;
  const rise = kind === 'one-cycle' ? Math.floor(RISE * total) : 0;
  if (step < rise) return peak * (START + (1 - START) * (step / rise));
  return (peak * (1 + Math.cos((Math.PI * (step - rise)) / Math.max(1, total - rise)))) / 2;
}

/**
 * The share of the new weights in the moving average after a step: 1 − decay, and more in the first steps, so that random
 * weights are soon forgotten (as `num_updates` does in TensorFlow's ExponentialMovingAverage).
 */
export const averageRateAt = (step: number, decay: number): number => 1 - Math.min(decay, (1 + step) / (10 + step));

import { conditioning } from './conditioning.js';
import { contraction } from './contraction.js';
import { AnalysisError } from './errors.js';
import type { Experiment } from './experiment.js';
import { image } from './image.js';
import { interpolation } from './interpolation.js';
import { inversion } from './inversion.js';
import { metamer } from './metamer.js';
import { metamers } from './metamers.js';
import { neighbours } from './neighbours.js';
import { pca } from './pca.js';
import { robustness } from './robustness.js';
import { separability } from './separability.js';

/** Every experiment, by name. Adding one is a file and a line here. */
export const experiments: Readonly<Record<string, Experiment>> = {
  separability,
  pca,
  contraction,
  neighbours,
  inversion,
  conditioning,
  interpolation,
  metamers,
  metamer,
  robustness,
  image,
};

/** @throws AnalysisError when there is no experiment of this name */
export function experimentNamed(name: string): Experiment {
  if (Object.hasOwn(experiments, name)) return experiments[name]!;
  const known = Object.keys(experiments).join(', ');
  throw new AnalysisError('unknown-experiment', `there is no experiment ${JSON.stringify(name)}; there are: ${known}`);
}

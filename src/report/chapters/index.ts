import type { Chapter } from '../chapter.js';
import { conditioning } from './conditioning.js';
import { contraction } from './contraction.js';
import { image } from './image.js';
import { interpolation } from './interpolation.js';
import { inversion } from './inversion.js';
import { metamer } from './metamer.js';
import { metamers } from './metamers.js';
import { neighbours } from './neighbours.js';
import { pca } from './pca.js';
import { robustness } from './robustness.js';
import { separability } from './separability.js';

/** The chapters of a report, in their order. Adding one is a file and a line here; an experiment without one has its figure alone. */
export const chapters: readonly Chapter[] = [
  inversion,
  conditioning,
  separability,
  pca,
  contraction,
  neighbours,
  interpolation,
  metamers,
  metamer,
  robustness,
  image,
];

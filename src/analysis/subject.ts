import type { Images } from '../../export/data/images.js';
import type { Model } from '../../export/model/open.js';

/** What an experiment looks at. */
export interface Subject {
  readonly model: Model;
  /** Labelled test images. */
  readonly images: Images;
  readonly threads: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with what is done and how many there are of it. */
  readonly progress?: ((done: number, total: number) => void) | undefined;
}

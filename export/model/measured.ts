import type { Images } from '../data/datasets.js';
import type { Measured } from './manifest.js';
import { type Batches, measure } from './measure.js';
import { closeGraphs, openGraphs } from './open.js';

export interface MeasureOptions {
  /** What the images are, in words. */
  readonly data: string;
  /** Whether their labels mean anything. */
  readonly labelled: boolean;
  readonly batches: Batches;
  readonly threads: number;
}

/** Measures the graphs of a model folder, as its manifest tells it. */
export async function measureFolder(folder: string, images: Images, options: MeasureOptions): Promise<Measured> {
  const graphs = await openGraphs(folder, options.threads);
  try {
    const { correct, inversion } = await measure(graphs, images, options.batches);
    const accuracy = options.labelled ? correct / images.count : null;
    return { data: options.data, images: images.count, accuracy, inversion };
  } finally {
    await closeGraphs(graphs);
  }
}

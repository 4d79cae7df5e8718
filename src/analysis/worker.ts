import { parentPort, workerData } from 'node:worker_threads';
import type { Images } from '../../export/data/images.js';
import { openModel } from '../../export/model/open.js';
import { runExperiment } from './experiment.js';
import { experimentNamed } from './experiments.js';

/** An experiment on pictures that are prepared for a model. */
export interface Task {
  readonly experiment: string;
  readonly options: object;
  /** The folder of the model. */
  readonly folder: string;
  readonly names: readonly string[];
  readonly images: Images;
}

const { experiment, options, folder, ...pictures } = workerData as Task;
const context = {
  model: await openModel(folder),
  pictures,
  // The service goes on beside it.
  threads: 1,
  progress: () => {},
  signal: new AbortController().signal,
};
parentPort!.postMessage(await runExperiment(experimentNamed(experiment), context, options));

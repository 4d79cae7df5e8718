import { join } from 'node:path';
import { argumentsOf } from '../../common/schema-options.js';
import { experimentNamed } from '../experiments.js';
import type { Folder } from './folder.js';
import { type Asked, type JobError, jobFigures, type KeptJob } from './job.js';
import { optionsOf } from './request.js';

/** Where a job works. */
export interface Places {
  /** The folder of all models. */
  readonly models: string;
  /** Where its data set lies. */
  readonly data: string;
}

/** Arguments of the command that does a job. @throws AnalysisError when there is no such experiment any more */
export function commandOf(job: KeptJob, places: Places, { store, features }: Folder, threads: number): string[] {
  const { id, experiment, model, data, options } = job;
  return [
    'analyze',
    experiment,
    model,
    '--supervised',
    `--models=${places.models}`,
    `--data=${places.data}`,
    `--dataset=${data}`,
    `--threads=${threads}`,
    features === undefined ? '--no-cache' : `--cache=${features}`,
    ...jobFigures.map((format) => `--figure=${store.figurePath(id, format)}`),
    ...argumentsOf(optionsOf(experimentNamed(experiment)), options),
  ];
}

/** An error without the places that it names, which are no client's business. */
export function withoutPlaces({ code, detail }: JobError, { model, data }: Asked, places: Places): JobError {
  const named = detail.replaceAll(places.data, `data set ${data}`);
  return {
    code,
    detail: named
      .replaceAll(join(places.models, model), `model ${model}`)
      .replaceAll(places.models, 'the models folder'),
  };
}

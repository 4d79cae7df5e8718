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
  /** Where its data set lies; empty where it is not named any more. */
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
  const names = [
    [places.data, `data set ${data}`],
    [join(places.models, model), `model ${model}`],
    [places.models, 'the models folder'],
  ] as const;
  const known = names.filter(([place]) => place !== '');
  return { code, detail: known.reduce((text, [place, name]) => text.replaceAll(place, name), detail) };
}

import { type Static, Type } from 'typebox';

export const states = ['queued', 'running', 'done', 'failed', 'cancelled'] as const;

const Time = (description: string) => Type.Union([Type.String(), Type.Null()], { description });

/** How far a job is. */
export const JobProgress = Type.Object({
  done: Type.Integer(),
  total: Type.Integer(),
  what: Type.String({ description: 'what is counted: a stage of the experiment' }),
});

/** Why a job failed. */
export const JobError = Type.Object({
  code: Type.String({
    description:
      'option-invalid, not-invertible, data-missing, data-unlabelled, data-one-class, too-few-images, not-finite: the experiment cannot run so; data-unusable, unknown-dataset, unknown-model: what it works on; analysis-storage, analysis-killed, analysis-failed: its process',
  }),
  detail: Type.String({ description: 'what was wrong, what was expected, what to do' }),
});

/** One run of an experiment that a client asks for. */
export const Job = Type.Object({
  id: Type.String(),
  experiment: Type.String(),
  model: Type.String(),
  data: Type.String({ description: 'name of a data set' }),
  options: Type.Record(Type.String(), Type.Unknown(), {
    description: 'those that were given; defaults stand for the others',
  }),
  state: Type.Enum([...states], { type: 'string' }),
  progress: Type.Union([JobProgress, Type.Null()], { description: 'of a job that runs; null before its first stage' }),
  createdAt: Type.String({ description: 'ISO 8601, as all times' }),
  startedAt: Time('null until it runs'),
  finishedAt: Time('null until it is over'),
  error: Type.Union([JobError, Type.Null()], { description: 'why it failed' }),
});
export type Job = Static<typeof Job>;
export type JobError = Static<typeof JobError>;

/** Formats of a figure, by the ending of its file; the first is the default. */
export const jobFigures = ['svg', 'png', 'vl.json'] as const;
export type JobFigure = (typeof jobFigures)[number];

/** What a client asks for. */
export type Asked = Pick<Job, 'experiment' | 'model' | 'data' | 'options'>;

/** A job as it is kept: also how many times it was begun without an end. */
export const KeptJob = Type.Object({ ...Job.properties, attempts: Type.Integer() });
export type KeptJob = Static<typeof KeptJob>;

/** Whether nothing will happen to a job any more. */
export const isOver = ({ state }: Pick<Job, 'state'>): boolean => state !== 'queued' && state !== 'running';

export const shown = ({ attempts: _, ...job }: KeptJob): Job => job;

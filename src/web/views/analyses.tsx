import { useEffect, useState } from 'preact/hooks';
import {
  type Analysis,
  type AnalysisRequest,
  type Model,
  type Analyses as Overview,
  ServiceError,
} from '../../client/index.js';
import { Trouble } from '../parts/trouble.js';
import { change } from '../state/route.js';
import { service } from '../state/service.js';
import { pauseAfter, useTask } from '../state/task.js';
import type { ViewProps } from '../view.js';
import { describe, isOver, JobCard, Progress } from './job.js';

/** Experiments on the service: start one, watch it, look at its figure, put two beside one another. */
export function Analyses({ model, models, settings }: ViewProps) {
  const task = useTask((signal) => service().analyses({ signal }), []);
  const [removed, setRemoved] = useState<readonly string[]>([]);
  const kept = (task.value?.analyses ?? []).filter(({ id }) => !removed.includes(id));
  const jobs = useWatched(kept, task.again);
  const [refused, setRefused] = useState<unknown>();
  /** Does something on the service, and asks how things are then. */
  const act = async (doing: Promise<unknown>) => {
    setRefused(undefined);
    await doing.catch(setRefused);
    task.again();
  };
  const begin = (asked: AnalysisRequest) =>
    act(
      service()
        .startAnalysis(asked)
        .then(({ id }) => change({ job: id, beside: '' })),
    );
  const remove = (id: string) => {
    const over = jobs.some((job) => job.id === id && isOver(job));
    const done = service().deleteAnalysis(id);
    return act(over ? done.then(() => leave(id)) : done);
  };
  const leave = (id: string) => {
    setRemoved((before) => [...before, id]);
    change(without(id, settings));
  };
  if (hasNone(task.error) || hasNone(refused)) return <None />;
  const { experiments = [], datasets = [] } = task.value ?? {};
  const titleOf = (job: Analysis) => experiments.find(({ name }) => name === job.experiment)?.title ?? job.experiment;
  const shown = [settings.job, settings.beside].flatMap((id) => jobs.filter((job) => job.id === id));
  return (
    <>
      <h1>Analyses</h1>
      <p class="lead">
        Experiments that look into a network, beside the requests of the service. Results stay when this page is closed.
      </p>
      <Trouble error={task.error} again={task.again} />
      <Trouble error={refused} again={() => setRefused(undefined)} />
      {task.value && (
        <Form
          experiments={experiments}
          datasets={datasets}
          model={model}
          models={models}
          settings={settings}
          onStart={begin}
        />
      )}
      {settings.job && task.value && !task.busy && !jobs.some(({ id }) => id === settings.job) && (
        <p class="note">The analysis of this address is not kept any more.</p>
      )}
      <div class={`jobs ${shown.length > 1 ? 'beside' : ''}`}>
        {shown.map((job, n) => (
          <JobCard
            key={job.id}
            job={job}
            title={titleOf(job)}
            second={n === 1}
            onCancel={() => remove(job.id)}
            onAgain={() => begin(requestOf(job))}
          />
        ))}
      </div>
      {shown[0]?.state === 'done' && <Beside job={shown[0]} jobs={jobs} chosen={settings.beside} />}
      {task.value && <List jobs={jobs} titleOf={titleOf} shown={settings.job} onRemove={remove} />}
    </>
  );
}

/** The address when a job is removed: what stood beside it takes its place. */
const without = (id: string, { job = '', beside = '' }: ViewProps['settings']): Readonly<Record<string, string>> => {
  if (job === id) return { job: beside, beside: '' };
  return beside === id ? { beside: '' } : {};
};

const requestOf = ({ experiment, model, data, options }: Analysis): AnalysisRequest => ({
  experiment,
  model,
  data,
  options,
});

/** Whether the service runs no analyses at all. */
const hasNone = (error: unknown): boolean =>
  error instanceof ServiceError && ['unknown-route', 'analyses-off'].includes(error.code);

const None = () => (
  <>
    <h1>Analyses</h1>
    <p class="lead">
      This service runs no analyses. <code>irevnet analyze</code> runs them where the model is; the operator of the
      service turns them on.
    </p>
  </>
);

interface FormProps extends ViewProps {
  readonly experiments: Overview['experiments'];
  readonly datasets: readonly string[];
  onStart(asked: AnalysisRequest): void;
}

/** What to start. */
function Form({ experiments, datasets, model, models, settings, onStart }: FormProps) {
  const chosen = experiments.find(({ name }) => name === settings.experiment) ?? experiments[0];
  const data = datasets.find((name) => name === settings.data) ?? datasets[0];
  const limit = settings.limit ?? '500';
  if (!chosen) return null;
  if (!data)
    return (
      <p class="note">
        The service has no data set to run experiments on; its operator names some with <code>--datasets</code>.
      </p>
    );
  const submit = (event: Event) => {
    event.preventDefault();
    const options = limit === '' ? {} : { limit: Number(limit) };
    onStart({ experiment: chosen.name, model: model.name, data, options });
  };
  return (
    <form class="card start" onSubmit={submit}>
      <div class="fields">
        <Choice
          label="experiment"
          value={chosen.name}
          of={experiments.map(({ name, title }) => [name, title])}
          onChange={(experiment) => change({ experiment })}
        />
        <Choice label="model" value={model.name} of={names(models)} onChange={(name) => change({ model: name })} />
        <Choice
          label="data set"
          value={data}
          of={datasets.map((name) => [name, name])}
          onChange={(name) => change({ data: name })}
        />
        <label>
          images of each part
          <input
            type="number"
            min="1"
            step="1"
            value={limit}
            placeholder="all"
            onInput={(event) => change({ limit: event.currentTarget.value })}
          />
        </label>
        <button type="submit" class="primary">
          Start
        </button>
      </div>
      <p class="note">{chosen.description}</p>
    </form>
  );
}

const names = (models: readonly Model[]) => models.map(({ name }) => [name, name] as const);

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  /** Values with their titles. */
  readonly of: readonly (readonly [string, string])[];
  onChange(value: string): void;
}

const Choice = ({ label, value, of, onChange }: ChoiceProps) => (
  <label>
    {label}
    <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      {of.map(([name, title]) => (
        <option key={name} value={name}>
          {title}
        </option>
      ))}
    </select>
  </label>
);

interface BesideProps {
  readonly job: Analysis;
  readonly jobs: readonly Analysis[];
  readonly chosen: string | undefined;
}

/** Chooses another job of the same experiment that is done. */
function Beside({ job, jobs, chosen }: BesideProps) {
  const others = jobs.filter(({ id, experiment, state }) => {
    return id !== job.id && experiment === job.experiment && state === 'done';
  });
  if (others.length === 0) return null;
  return (
    <div class="actions">
      <Choice
        label="beside it"
        value={chosen ?? ''}
        of={[['', 'nothing'], ...others.map((other) => [other.id, describe(other)] as const)]}
        onChange={(beside) => change({ beside })}
      />
    </div>
  );
}

interface ListProps {
  readonly jobs: readonly Analysis[];
  titleOf(job: Analysis): string;
  readonly shown: string | undefined;
  onRemove(id: string): void;
}

function List({ jobs, titleOf, shown, onRemove }: ListProps) {
  if (jobs.length === 0) return <p class="note">None was started yet.</p>;
  return (
    <section class="part">
      <h2>All analyses</h2>
      <ul class="list">
        {jobs.map((job) => (
          <li key={job.id}>
            <button type="button" aria-pressed={job.id === shown} onClick={() => change({ job: job.id, beside: '' })}>
              {titleOf(job)}
            </button>
            <span class="note">{describe(job)}</span>
            {isOver(job) ? (
              <span class={`state ${job.state}`}>{job.state}</span>
            ) : (
              <Progress of={job.progress} state={job.state} />
            )}
            <button type="button" class="quiet" onClick={() => onRemove(job.id)}>
              {isOver(job) ? 'Remove' : 'Cancel'}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/**
 * The jobs, the one that is on its way as it is now. One at a time is watched: a browser has few connections to a service.
 * @param changed called when a watched job is over, for then others begin
 */
function useWatched(jobs: readonly Analysis[], changed: () => void): readonly Analysis[] {
  const [now, setNow] = useState<Analysis>();
  const [tries, setTries] = useState(0);
  const open = jobs.filter((job) => !isOver(job));
  const watched = open.find(({ state }) => state === 'running') ?? open.at(-1);
  useEffect(() => {
    if (!watched) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const follow = async () => {
      let last: Analysis = watched;
      for await (const job of service().followAnalysis(watched.id, { signal: abort.signal })) {
        last = job;
        setNow(job);
      }
      // The service ends a reply that takes too long; the job goes on.
      if (isOver(last)) changed();
      else timer = setTimeout(() => setTries((n) => n + 1), 1000);
    };
    follow().catch((error: unknown) => {
      if (abort.signal.aborted) return;
      timer = setTimeout(() => setTries((n) => n + 1), 1000 * (pauseAfter(error) ?? 2));
      changed();
    });
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [watched?.id, tries]);
  return jobs.map((job) => (now && job.id === now.id && !isOver(job) ? now : job));
}

import { useMemo } from 'preact/hooks';
import type { TopLevelSpec } from 'vega-lite';
import type { Analysis, AnalysisFigureOptions, AnalysisResult } from '../../client/index.js';
import { count } from '../arrays.js';
import { Chart } from '../parts/chart.js';
import { Table } from '../parts/table.js';
import { Trouble } from '../parts/trouble.js';
import { saveFile } from '../save.js';
import { service } from '../state/service.js';
import { useTask } from '../state/task.js';
import { csvOf, type Value, type Values, valuesOf } from '../values.js';

interface Props {
  readonly job: Analysis;
  /** The experiment's title. */
  readonly title: string;
  /** Whether it is the second of two, so that a screen reader tells them apart. */
  readonly second: boolean;
  onCancel(): void;
  onAgain(): void;
}

/** One analysis: how far it is, why it failed, or what it found. */
export function JobCard({ job, title, second, onCancel, onAgain }: Props) {
  const { state, error, progress } = job;
  return (
    <article class="card job" aria-label={`${title}, ${job.model}`}>
      <h2>{title}</h2>
      <p class="note">{describe(job)}</p>
      {!isOver(job) && <Progress of={progress} state={state} />}
      {!isOver(job) && (
        <div class="actions">
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        </div>
      )}
      {(state === 'failed' || state === 'cancelled') && (
        <div class="trouble">
          <b>{error?.detail ?? 'It was cancelled.'}</b>
          {error && <span>{error.code}</span>}
          <button type="button" onClick={onAgain}>
            Start it again
          </button>
        </div>
      )}
      {state === 'done' && <Outcome job={job} title={second ? `${title}, beside` : title} />}
    </article>
  );
}

/** Whether nothing will happen to an analysis any more. */
export const isOver = ({ state }: Analysis): boolean => state !== 'queued' && state !== 'running';

/** "fashion-mnist on fashion-mnist, 500 images, in 3.2 s" */
export function describe({ model, data, options, startedAt, finishedAt }: Analysis): string {
  const { limit, ...others } = options;
  const parts = [
    `${model} on ${data}`,
    typeof limit === 'number' ? `${count(limit)} images of each part` : 'all images',
    ...Object.entries(others).map(([name, value]) => `${name} ${JSON.stringify(value)}`),
    ...(startedAt && finishedAt ? [`in ${seconds(Date.parse(finishedAt) - Date.parse(startedAt))}`] : []),
  ];
  return parts.join(', ');
}

const seconds = (ms: number): string =>
  ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;

export function Progress({
  of: progress,
  state,
}: {
  readonly of: Analysis['progress'];
  readonly state: Analysis['state'];
}) {
  const what = progress
    ? `${progress.what}: ${count(progress.done)} of ${count(progress.total)}`
    : state === 'queued'
      ? 'It waits for its turn.'
      : 'It has begun.';
  return (
    <p class="progress" aria-live="polite">
      <progress aria-label={what} {...(progress && { value: progress.done, max: progress.total || 1 })} />
      <span>{what}</span>
    </p>
  );
}

/** Figure, files and values. */
function Outcome({ job, title }: { readonly job: Analysis; readonly title: string }) {
  const task = useTask(
    async (signal) => {
      const [whole, figure] = await Promise.all([
        service().analysis(job.id, { signal }),
        service().analysisFigure(job.id, { format: 'vl.json', signal }),
      ]);
      return { whole, specification: JSON.parse(await figure.text()) as TopLevelSpec };
    },
    [job.id],
  );
  if (!task.value) return task.error ? <Trouble error={task.error} again={task.again} /> : <p class="note">…</p>;
  const { whole, specification } = task.value;
  return (
    <>
      <Chart specification={specification} label={`figure: ${title}, ${job.model}`} />
      <Files of={whole} />
      <Numbers of={whole} title={title} />
    </>
  );
}

function Files({ of: whole }: { readonly of: AnalysisResult }) {
  const name = `${whole.experiment}-${whole.model}`;
  const drawn = (format: NonNullable<AnalysisFigureOptions['format']>) => async () =>
    saveFile(await service().analysisFigure(whole.id, { format }), `${name}.${format}`);
  const written = (text: () => string, type: string, ending: string) => () =>
    saveFile(new Blob([text()], { type }), `${name}.${ending}`);
  const files: readonly (readonly [string, () => void])[] = [
    ['SVG', drawn('svg')],
    ['PNG', drawn('png')],
    ['Vega-Lite', drawn('vl.json')],
    ['JSON', written(() => `${JSON.stringify(whole, null, 2)}\n`, 'application/json', 'json')],
    ['CSV', written(() => csvOf(valuesOf(whole.result)), 'text/csv', 'csv')],
  ];
  return (
    <div class="actions files">
      <span>Save as</span>
      {files.map(([format, save]) => (
        <button key={format} type="button" onClick={save}>
          {format}
        </button>
      ))}
    </div>
  );
}

/** Most rows of a table that are shown; the files have all. */
const SHOWN = 100;

function Numbers({ of: { result }, title }: { readonly of: AnalysisResult; readonly title: string }) {
  const tables = useMemo(() => valuesOf(result), [result]);
  return (
    <details>
      <summary>The values</summary>
      {tables.map((table) => (
        <NumbersTable key={table.name} of={table} title={title} />
      ))}
    </details>
  );
}

const NumbersTable = ({ of: { name, columns, rows }, title }: { readonly of: Values; readonly title: string }) => (
  <>
    <h3>{name}</h3>
    <Table label={`${title}: ${name}`} columns={columns} rows={rows.slice(0, SHOWN).map((row) => row.map(written))} />
    {rows.length > SHOWN && <p class="note">{count(rows.length - SHOWN)} more are in the files.</p>}
  </>
);

function written(value: Value): string {
  if (typeof value !== 'number') return value === null ? '–' : `${value}`;
  return Number.isInteger(value) ? count(value) : `${Number(value.toPrecision(5))}`;
}

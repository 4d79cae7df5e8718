import { ask } from './service.js';

/** One run of an experiment. */
export interface Job {
  readonly id: string;
  readonly experiment: string;
  readonly model: string;
  readonly data: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  readonly progress: { readonly done: number; readonly total: number; readonly what: string } | null;
  /** ISO 8601, as all times. */
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly error: { readonly code: string; readonly detail: string } | null;
}

/** A job that is done, with what it found. */
export interface Finished extends Job {
  readonly result: unknown;
}

export interface Overview {
  /** The newest first. */
  readonly analyses: readonly Job[];
  readonly experiments: readonly { readonly name: string; readonly title: string; readonly description: string }[];
  /** Names of data sets. */
  readonly datasets: readonly string[];
}

export type Asked = Pick<Job, 'experiment' | 'model' | 'data' | 'options'>;
export type FigureFile = 'svg' | 'png' | 'vl.json';

/** Whether nothing will happen to a job any more. */
export const isOver = ({ state }: Job): boolean => state !== 'queued' && state !== 'running';

const at = (id: string): string => `analyses/${encodeURIComponent(id)}`;
const json = async <T>(response: Promise<Response>): Promise<T> => (await (await response).json()) as T;

export const overview = (signal: AbortSignal): Promise<Overview> => json(ask('analyses', { signal }));
export const found = (id: string, signal: AbortSignal): Promise<Finished> => json(ask(at(id), { signal }));
/** Cancels a job, or removes one that is over. */
export const remove = (id: string): Promise<unknown> => ask(at(id), { method: 'DELETE' });

export const start = (asked: Asked): Promise<Job> =>
  json(
    ask('analyses', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(asked),
    }),
  );

export const figureFile = async (id: string, format: FigureFile, signal?: AbortSignal): Promise<Blob> =>
  (await ask(`${at(id)}/figure?format=${format}`, { signal: signal ?? null })).blob();

/**
 * The job each time that it has changed, until it is over: server-sent events, read by fetch, which sends the API key.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export async function* watch(id: string, signal: AbortSignal): AsyncGenerator<Job> {
  const { body } = await ask(`${at(id)}/events`, { signal, headers: { accept: 'text/event-stream' } });
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (text + value).split(/\r?\n\r?\n/);
    text = events.pop()!;
    for (const event of events) {
      const data = event.split(/\r?\n/).flatMap((line) => (line.startsWith('data:') ? [line.slice(5)] : []));
      if (data.length > 0) yield JSON.parse(data.join('\n')) as Job;
    }
  }
}

import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { Config } from '../../common/config.js';
import { Problem } from '../../common/problems.js';
import type { Engine } from '../../engine/engine.js';
import { commandOf, type Places, withoutPlaces } from './command.js';
import { type Datasets, openDatasets } from './datasets.js';
import { failureOf } from './failure.js';
import { type Folder, openFolder } from './folder.js';
import { type Asked, isOver, type Job, type JobError, type JobFigure, type KeptJob, shown } from './job.js';
import { type Ended, runProcess } from './process.js';
import { readRequest } from './request.js';

type Settings = Pick<Config, 'analyses' | 'datasets' | 'analysisWorkers' | 'analysisQueue' | 'analysesKept'>;

/** Where it is logged what becomes of jobs. */
export interface Log {
  info(what: object, words: string): void;
  warn(what: object, words: string): void;
}

/** Times that a job is begun: one that takes the memory of the whole service would end it again and again. */
const MOST_ATTEMPTS = 3;
/** Seconds after which another try is worth it when the queue is full. */
const RETRY_AFTER = 60;

/** A job that runs: how it is stopped, and when it is over. */
interface Run {
  readonly stop: AbortController;
  readonly over: Promise<void>;
}
/** Why a job is stopped. */
type Stop = 'cancelled' | 'closed';

/** Jobs that clients ask for: their queue, the processes that do them, and what is kept of them. */
export class Analyses {
  readonly datasets: Datasets;
  /** The oldest first. */
  readonly #jobs = new Map<string, KeptJob>();
  readonly #runs = new Map<string, Run>();
  /** Emits the id of a job that has changed. */
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #engine: Engine;
  readonly #settings: Settings;
  readonly #log: Log;
  #folder: Promise<Folder> | undefined;
  /** Why nothing more is begun or written. */
  #closed: Problem | undefined;
  /** Jobs that are being written before they join the queue. */
  #arriving = 0;
  #lastCreated = 0;

  /** @throws SettingsError when a data set is not there */
  constructor(engine: Engine, settings: Settings, log: Log) {
    this.datasets = openDatasets(settings.datasets);
    this.#engine = engine;
    this.#settings = settings;
    this.#log = log;
  }

  /** Takes up what an earlier service has left in the folder of the settings. @throws ExitError in-use; a system error */
  async resume(): Promise<void> {
    if (this.#settings.analyses === '') return;
    const { store } = await this.#opened();
    const { jobs, damaged } = await store.load();
    if (damaged.length > 0) this.#log.warn({ damaged }, 'folders of analyses cannot be read, and stay as they are');
    for (const job of jobs) {
      this.#lastCreated = Date.parse(job.createdAt);
      this.#jobs.set(job.id, isOver(job) ? job : { ...job, state: 'queued', startedAt: null, progress: null });
    }
    this.#begin();
  }

  /** Every job, the newest first. */
  list(): Job[] {
    return [...this.#jobs.values()].reverse().map(shown);
  }

  /** @throws Problem unknown-analysis */
  find(id: string): Job {
    return shown(this.#found(id));
  }

  /** Queues a job. @throws Problem analyses-off, draining, analysis-queue-full, analysis-storage, and as `readRequest` */
  async start(body: unknown): Promise<Job> {
    if (this.#settings.analysisWorkers === 0) throw new Problem('analyses-off', 'this service takes no analyses');
    const asked = readRequest(body, this.#engine, this.datasets);
    if (this.#closed) throw this.#closed;
    const waiting = this.#waiting().length + this.#arriving;
    if (waiting >= this.#settings.analysisQueue)
      throw new Problem('analysis-queue-full', `${waiting} analyses wait already`, { retryAfter: RETRY_AFTER });
    const job = this.#created(asked);
    this.#arriving++;
    try {
      await this.#save(job);
      this.#jobs.set(job.id, job);
    } catch (error) {
      throw new Problem('analysis-storage', storageError(error as Error).detail, { cause: error });
    } finally {
      this.#arriving--;
    }
    this.#begin();
    return this.find(job.id);
  }

  /**
   * Cancels a job that waits or runs: its process has ended then. Removes one that is over.
   * @returns the job as it then is, or was
   * @throws Problem unknown-analysis
   */
  async delete(id: string): Promise<Job> {
    const job = this.#found(id);
    const run = this.#runs.get(id);
    if (isOver(job)) await this.#remove(job);
    else if (run) {
      run.stop.abort('cancelled' satisfies Stop);
      await run.over;
    } else await this.#finish(id, { state: 'cancelled' });
    return shown(this.#jobs.get(id) ?? job);
  }

  /** The result of a job, as JSON text; null where it has none. @throws Problem unknown-analysis */
  async result(id: string): Promise<string> {
    if (this.#found(id).state !== 'done') return 'null';
    const { store } = await this.#opened();
    return readFile(store.resultPath(id), 'utf8');
  }

  /** The figure of a job that is done. @throws Problem unknown-analysis, analysis-unfinished */
  async figure(id: string, format: JobFigure): Promise<Buffer> {
    const { state } = this.#found(id);
    if (state !== 'done') throw new Problem('analysis-unfinished', `the analysis is ${state}`);
    const { store } = await this.#opened();
    return readFile(store.figurePath(id, format));
  }

  /** A job now, and again when it has changed, until it is over or removed, nobody waits, or the service closes. */
  async *follow(id: string, signal: AbortSignal): AsyncGenerator<Job> {
    let last: KeptJob | undefined;
    for (;;) {
      const job = this.#jobs.get(id);
      if (!job || this.#closed || signal.aborted) return;
      if (job === last) await once(this.#changes, id, { signal }).catch(() => undefined);
      else {
        last = job;
        yield shown(job);
        if (isOver(job)) return;
      }
    }
  }

  /** Ends the processes; their jobs are queued again when a service opens the folder the next time. */
  async close(why = new Problem('draining', 'the service is shutting down')): Promise<void> {
    this.#closed ??= why;
    for (const { stop } of this.#runs.values()) stop.abort('closed' satisfies Stop);
    for (const id of this.#jobs.keys()) this.#changes.emit(id);
    await Promise.all([...this.#runs.values()].map(({ over }) => over));
    const folder = await this.#folder?.catch(() => undefined);
    await folder?.close();
  }

  #found(id: string): KeptJob {
    const job = this.#jobs.get(id);
    if (job) return job;
    throw new Problem('unknown-analysis', `there is no analysis ${JSON.stringify(id.slice(0, 64))}`);
  }

  #waiting = (): KeptJob[] => [...this.#jobs.values()].filter(({ state }) => state === 'queued');

  /** Opens the folder when it is first needed. What fails is tried again: a disk that was full may have room then. */
  #opened(): Promise<Folder> {
    this.#folder ??= openFolder(this.#settings.analyses, () => this.#lost()).catch((error) => {
      this.#folder = undefined;
      throw error;
    });
    return this.#folder;
  }

  #lost(): void {
    const words = 'another service has taken the folder of the analyses, because this one stood still';
    this.#log.warn({ folder: this.#settings.analyses }, words);
    void this.close(new Problem('analysis-storage', words));
  }

  /** A new job. Times of creation differ: they are the order of the queue. */
  #created(asked: Asked): KeptJob {
    this.#lastCreated = Math.max(Date.now(), this.#lastCreated + 1);
    const times = { createdAt: new Date(this.#lastCreated).toISOString(), startedAt: null, finishedAt: null };
    const id = randomBytes(8).toString('hex');
    return { id, ...asked, state: 'queued', progress: null, ...times, error: null, attempts: 0 };
  }

  async #save(job: KeptJob): Promise<void> {
    const { store } = await this.#opened();
    if (this.#closed?.code !== 'analysis-storage') await store.save(job);
  }

  #change(id: string, changes: Partial<KeptJob>): KeptJob {
    const job = { ...this.#found(id), ...changes };
    this.#jobs.set(id, job);
    this.#changes.emit(id);
    return job;
  }

  /** Begins jobs that wait, while there are workers. */
  #begin(): void {
    if (this.#closed) return;
    for (const { id } of this.#waiting().slice(0, Math.max(0, this.#settings.analysisWorkers - this.#runs.size))) {
      const stop = new AbortController();
      const over = this.#run(this.#change(id, { state: 'running', startedAt: now() }), stop.signal).finally(() => {
        this.#runs.delete(id);
        this.#begin();
      });
      this.#runs.set(id, { stop, over });
    }
  }

  async #run(job: KeptJob, signal: AbortSignal): Promise<void> {
    const { id, attempts } = job;
    const places = { models: this.#engine.folder, data: this.datasets.get(job.data) ?? '' };
    const ended = await this.#attempt(job, places, signal).catch((error: Error) => {
      return { error: failureOf(error) ?? storageError(error), words: error.message };
    });
    if (signal.reason === 'closed')
      // The end of the service is no fault of the job.
      return this.#keep(this.#change(id, { state: 'queued', startedAt: null, progress: null, attempts }));
    if (signal.aborted) return this.#finish(id, { state: 'cancelled' });
    if (!ended.error) return this.#finish(id, { state: 'done' });
    this.#log.warn({ analysis: id, ...ended }, 'analysis failed');
    await this.#finish(id, { state: 'failed', error: withoutPlaces(ended.error, job, places) });
  }

  async #attempt(job: KeptJob, places: Places, signal: AbortSignal): Promise<Ended> {
    const { id, attempts } = job;
    if (attempts >= MOST_ATTEMPTS) return failed('analysis-failed', `the service ended ${attempts} times while it ran`);
    if (!this.datasets.has(job.data)) return failed('unknown-dataset', `there is no data set ${job.data} any more`);
    const folder = await this.#opened();
    await this.#save(this.#change(id, { attempts: attempts + 1 }));
    const threads = Math.max(1, Math.floor(availableParallelism() / this.#settings.analysisWorkers));
    const ended = await runProcess(commandOf(job, places, folder, threads), folder.store.resultPath(id), {
      signal,
      tell: (progress) => void this.#change(id, { progress }),
    });
    await folder.store.saveWords(id, ended.words);
    return ended;
  }

  async #finish(id: string, end: Partial<KeptJob>): Promise<void> {
    const job = this.#change(id, { ...end, progress: null, finishedAt: now() });
    const { experiment, model, data, state } = job;
    this.#log.info({ analysis: id, experiment, model, data, state }, 'analysis is over');
    await this.#keep(job);
    const over = [...this.#jobs.values()].filter(isOver);
    const oldest = over.sort((a, b) => Date.parse(a.finishedAt!) - Date.parse(b.finishedAt!));
    for (const old of oldest.slice(0, Math.max(0, over.length - this.#settings.analysesKept))) await this.#remove(old);
  }

  /** Saves a job. Where that fails, the service goes on with what it knows. */
  #keep = (job: KeptJob): Promise<void> =>
    this.#save(job).catch((err) => this.#log.warn({ analysis: job.id, err }, 'the state of an analysis is not kept'));

  async #remove({ id }: KeptJob): Promise<void> {
    this.#jobs.delete(id);
    this.#changes.emit(id);
    await this.#opened()
      .then(({ store }) => store.remove(id))
      .catch((err) => this.#log.warn({ analysis: id, err }, 'an analysis is not removed'));
  }
}

const now = (): string => new Date().toISOString();

const failed = (code: string, detail: string): Ended => ({ error: { code, detail }, words: '' });

const storageError = (error: Error): JobError => ({
  code: 'analysis-storage',
  detail: `the files of the analysis cannot be written (${(error as NodeJS.ErrnoException).code ?? error.message})`,
});

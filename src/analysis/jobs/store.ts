import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Compile } from 'typebox/compile';
import { writeAtomically } from '../../../export/files/write.js';
import { type JobFigure, KeptJob } from './job.js';

const validator = Compile(KeptJob);

/** What folders of jobs are called. */
const ID = /^[0-9a-f]{16}$/;
const STATE = 'job.json';

/** Jobs as folders in a folder, each with its state, its result, its figures and its last words. */
export interface Store {
  /** Every job, the oldest first, and the names of folders without a state that can be read. */
  load(): Promise<{ readonly jobs: readonly KeptJob[]; readonly damaged: readonly string[] }>;
  /** Writes the state of a job, after the writes that were begun before. @throws a system error */
  save(job: KeptJob): Promise<void>;
  saveWords(id: string, words: string): Promise<void>;
  /** Removes a job, after the writes that were begun before. @throws a system error */
  remove(id: string): Promise<void>;
  resultPath(id: string): string;
  figurePath(id: string, format: JobFigure): string;
}

export function openStore(folder: string): Store {
  const path = (id: string, ...file: string[]) => join(folder, id, ...file);
  const read = async (id: string): Promise<KeptJob | undefined> => {
    const text = await readFile(path(id, STATE), 'utf8').catch(() => '');
    const job = jobIn(text);
    return job?.id === id ? job : undefined;
  };
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (write: () => Promise<void>): Promise<void> => {
    const written = last.then(write);
    last = written.catch(() => undefined);
    return written;
  };
  return {
    async load() {
      const ids = (await readdir(folder)).filter((name) => ID.test(name));
      const found = await Promise.all(ids.map(read));
      const jobs = found.filter((job) => job !== undefined).sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
      return { jobs, damaged: ids.filter((_, n) => found[n] === undefined) };
    },
    save: (job) => inTurn(() => writeAtomically(path(job.id, STATE), JSON.stringify(job))),
    async saveWords(id, words) {
      await mkdir(path(id), { recursive: true });
      await writeFile(path(id, 'stderr.txt'), words);
    },
    remove: (id) => inTurn(() => rm(path(id), { recursive: true, force: true })),
    resultPath: (id) => path(id, 'result.json'),
    figurePath: (id, format) => path(id, `figure.${format}`),
  };
}

function jobIn(text: string): KeptJob | undefined {
  try {
    const job: unknown = JSON.parse(text);
    return validator.Check(job) ? job : undefined;
  } catch {
    return undefined;
  }
}

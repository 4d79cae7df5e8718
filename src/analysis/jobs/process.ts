import { type ChildProcess, spawn } from 'node:child_process';
import { open, rename, rm } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { exitCodes } from '../../common/exit-codes.js';
import type { Job, JobError } from './job.js';

/** What the process of a job tells. */
export interface Told {
  readonly progress?: NonNullable<Job['progress']>;
  /** Why the experiment cannot run. */
  readonly failure?: JobError;
}

export interface Ended {
  /** undefined: the result is written. */
  readonly error?: JobError | undefined;
  /** The last words of the process on its standard error. */
  readonly words: string;
}

const PROGRAM = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

/** Milliseconds that a process has to clean up after SIGTERM: while it is in native code, it does not hear the signal. */
const PATIENCE = 1000;

/** Below the workers of the service, which lower themselves to 10, and above what only runs on an idle machine. */
const NICENESS = 15;

/** Characters of the standard error that are kept. */
const MOST_WORDS = 16_384;

/**
 * Runs `irevnet` in a process of low priority; its standard output becomes the file `result` when it has succeeded. When the
 * signal is aborted, the process is ended. It ends as well when this one does: see cli/supervised.ts.
 * @throws a system error when the file cannot be written
 */
export async function runProcess(
  args: readonly string[],
  result: string,
  { signal, tell }: { readonly signal: AbortSignal; tell(progress: Job['progress']): void },
): Promise<Ended> {
  const unfinished = `${result}.tmp`;
  // What another process still has open, if this service was killed before, becomes another file.
  await rm(unfinished, { force: true });
  const file = await open(unfinished, 'wx');
  try {
    const ended = await processOf(args, file.fd, signal, tell);
    if (ended.error || signal.aborted) return ended;
    await file.sync();
    await rename(unfinished, result);
    return ended;
  } finally {
    await file.close();
    await rm(unfinished, { force: true });
  }
}

function processOf(args: readonly string[], out: number, signal: AbortSignal, tell: (p: Job['progress']) => void) {
  return new Promise<Ended>((resolve) => {
    if (signal.aborted) return resolve({ words: '' });
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', out, 'pipe', 'ipc'] });
    lower(child);
    const end = () => stop(child);
    signal.addEventListener('abort', end, { once: true });
    let words = '';
    let failure: JobError | undefined;
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-MOST_WORDS);
    });
    child.on('message', (told: Told) => {
      if (told.progress) tell(told.progress);
      failure ??= told.failure;
    });
    const over = (error: JobError | undefined) => {
      signal.removeEventListener('abort', end);
      resolve({ error, words });
    };
    child.on('error', ({ message }) => {
      if (child.pid === undefined) over({ code: 'analysis-failed', detail: `its process cannot start: ${message}` });
    });
    // Its last message may arrive after its end.
    const disconnected = new Promise((resolve) => child.once('disconnect', resolve));
    child.on('close', (code, by) => disconnected.then(() => over(failure ?? errorOf(code, by))));
  });
}

/** Threads that the process starts from now on have the same priority: it has none yet. */
function lower({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, NICENESS);
  } catch {
    // It has ended already, and says why.
  }
}

function stop(child: ChildProcess): void {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  child.once('exit', () => clearTimeout(timer));
}

/** Why a process failed, by the way it ended. */
function errorOf(code: number | null, by: NodeJS.Signals | null): JobError | undefined {
  if (code === exitCodes.done) return undefined;
  if (code === exitCodes['not-writable'])
    return { code: 'analysis-storage', detail: 'the disk is full or read-only; the operator makes room' };
  if (by !== null)
    return {
      code: 'analysis-killed',
      detail: `its process was ended by ${by}, as systems do where memory is short; take fewer images, with the option limit`,
    };
  return {
    code: 'analysis-failed',
    detail: `its process ended with code ${code}; the log of the service has its words`,
  };
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import type { Summary } from '../src/jobs/run.js';
import { environment, irevnet } from './server.js';

/** Starts `irevnet batch` in its own process. Its progress is not shown. */
export const startBatch = (args: readonly string[]): ChildProcess =>
  spawn(process.execPath, [...irevnet, 'batch', ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...environment, ...process.env },
  });

/** Waits for the end of the process. @throws Error when the exit code is not 0 */
export async function ended(child: ChildProcess): Promise<Summary> {
  const [text, [code]] = await Promise.all([buffer(child.stdout!), once(child, 'close')]);
  if (code !== 0) throw new Error(`irevnet batch ended with ${code}`);
  return JSON.parse(text.toString()) as Summary;
}

export const runBatch = (...args: readonly string[]): Promise<Summary> => ended(startBatch(args));

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packagePath } from '../export/files/package.js';

// A benchmark that is told to end stops the servers that it has started (see the handler of 'exit' below).
process.once('SIGTERM', () => process.exit(143));

/** A service in a process of its own, on this machine. Disposing of it sends SIGTERM and waits for its end. */
export interface Server extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly base: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves with its exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** Resident memory in megabytes (Linux). */
  megabytes(): Promise<number>;
}

/** The environment that the container sets (docker/Dockerfile): glibc returns large blocks to the system. */
export const environment = { MALLOC_MMAP_THRESHOLD_: '131072' };

/** The arguments of Node.js that run `irevnet`. */
export const irevnet = [packagePath('dist', 'src', 'cli', 'main.js')];

/** Starts `irevnet serve` with these flags on a free port and waits until it is ready. @throws Error when it ends before */
export const startServer = (flags: readonly string[] = [], nodeFlags: readonly string[] = []): Promise<Server> =>
  startProcess(process.execPath, (port) => [...nodeFlags, ...irevnet, 'serve', '--port', `${port}`, ...flags], {
    ...environment,
    ...process.env,
  });

/** Starts a program on a free port and waits until its /readyz answers 200. @throws Error when it ends before */
export async function startProcess(
  command: string,
  args: (port: number) => readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Server> {
  const port = await freePort();
  const child = spawn(command, args(port), { stdio: ['ignore', 'ignore', 'inherit'], env });
  await once(child, 'spawn');
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = endOf(child).finally(() => process.off('exit', kill));
  const base = `http://127.0.0.1:${port}`;
  while (!(await fetch(`${base}/readyz`).catch(() => undefined))?.ok) {
    if (hasEnded(child)) throw new Error(`${command} ended with ${await ended} before it was ready`);
    await sleep(50);
  }
  return {
    base,
    port,
    pid: child.pid!,
    ended,
    async megabytes() {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
      return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) / 1000);
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

const endOf = (child: ChildProcess): Promise<number | string> =>
  new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal!)));

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A new folder for temporary files. Disposing of it deletes it. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'irevnet-bench-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** Disposes of everything in a list, which may grow until then. */
export const together = (list: readonly AsyncDisposable[]): AsyncDisposable => ({
  async [Symbol.asyncDispose]() {
    await Promise.all(list.map((one) => one[Symbol.asyncDispose]()));
  },
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { packagePath } from '../export/files/package.js';

// Told to end, a benchmark takes its servers with it.
process.once('SIGTERM', () => process.exit(143));

/** A service in a process of its own, on this machine alone. */
export interface Server {
  /** `http://127.0.0.1:<port>` */
  readonly base: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves with its exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** Bytes of memory that it holds (Linux). */
  rss(): Promise<number>;
  /** Ends it by SIGTERM; gives what `ended` gives. */
  stop(): Promise<number | string>;
}

/** Where the standard output of a process goes: nowhere, or to a file that is open. */
export type Output = 'ignore' | number;

/** What the container sets for its process (docker/Dockerfile): glibc gives large blocks back. */
export const environment = { MALLOC_MMAP_THRESHOLD_: '131072' };

/** Starts `irevnet serve` with flags on a free port and waits until it is ready. @throws Error when it ends before */
export const startServer = (flags: readonly string[] = [], output: Output = 'ignore'): Promise<Server> =>
  startProcess(
    process.execPath,
    (port) => [packagePath('dist', 'src', 'cli.js'), 'serve', '--port', `${port}`, ...flags],
    output,
  );

/**
 * Starts a program on a free port and waits until its /readyz says yes. Our own run as in their container, others as they do
 * without us.
 * @throws Error when it ends before
 */
export async function startProcess(
  command: string,
  args: (port: number) => readonly string[],
  output: Output = 'ignore',
): Promise<Server> {
  const port = await freePort();
  const child = spawn(command, args(port), {
    stdio: ['ignore', output, 'inherit'],
    env: { ...(command === process.execPath && environment), ...process.env },
  });
  await once(child, 'spawn');
  const base = `http://127.0.0.1:${port}`;
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = endOf(child).finally(() => process.off('exit', kill));
  const pid = child.pid!;
  const stop = () => {
    child.kill('SIGTERM');
    return ended;
  };
  let over: number | string | undefined;
  ended.then((code) => {
    over = code;
  });
  while (!(await fetch(`${base}/readyz`).catch(() => undefined))?.ok) {
    if (over !== undefined) throw new Error(`${command} ended with ${over} before it was ready`);
    await sleep(50);
  }
  return { base, port, pid, ended, rss: () => rssOf(pid), stop };
}

/** Starts a service, uses it and stops it. */
export async function* withServer<T>(
  starting: Promise<Server>,
  use: (server: Server) => AsyncIterable<T>,
): AsyncGenerator<T> {
  const server = await starting;
  try {
    yield* use(server);
  } finally {
    await server.stop();
  }
}

const endOf = (child: ChildProcess): Promise<number | string> =>
  new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal!)));

async function rssOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

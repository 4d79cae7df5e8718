import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { packagePath } from '../../export/files/package.js';
import { run } from '../../src/cli/program.js';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `irevnet` with the given arguments, in a process of its own. */
export const startCli = (
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  options: Pick<SpawnOptions, 'uid' | 'gid'> = {},
): ChildProcess =>
  // The test runner puts a module loader of its own into NODE_OPTIONS, which doubles the time of every process.
  spawn('env', [...nodeOptions(env), process.execPath, packagePath('dist', 'src', 'cli', 'main.js'), ...args], {
    ...options,
    env: { ...process.env, ...env },
  });

const nodeOptions = ({ NODE_OPTIONS: given }: NodeJS.ProcessEnv): string[] =>
  given === undefined ? ['-u', 'NODE_OPTIONS'] : [`NODE_OPTIONS=${given}`];

/** Collects what a process prints until it ends. */
export function finished(child: ChildProcess): Promise<Finished> {
  const [out, err]: string[][] = [[], []];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => out!.push(text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => err!.push(text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout: out!.join(''), stderr: err!.join('') }));
  });
}

/**
 * Runs `irevnet` in this process, for what is refused and for help: a command's own results go to this process's standard
 * output, where tap writes. One call at a time.
 */
export async function call(...args: readonly string[]): Promise<Finished> {
  const [out, err]: string[][] = [[], []];
  const output = { writeOut: (text: string) => void out!.push(text), writeErr: (text: string) => void err!.push(text) };
  const code = await run(args, output);
  return { code, stdout: out!.join(''), stderr: err!.join('') };
}

/** Runs `irevnet` to its end, in a process of its own. */
export const cli = (...args: readonly string[]): Promise<Finished> => finished(startCli(args));

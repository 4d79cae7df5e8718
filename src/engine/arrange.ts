import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { isInvertible, type Manifest } from '../../export/model/manifest.js';
import type { Config } from '../common/config.js';
import type { ModelSource } from './protocol.js';

/** More workers than this gain little, and each holds every model: further cores go into threads. */
const MOST_WORKERS = 8;

export interface Machine {
  readonly cores: number;
  /** Bytes. */
  readonly memory: number;
}

export interface Arrangement {
  readonly workers: number;
  /** Of each worker. */
  readonly threads: number;
}

/** The cores and the memory that this process may use. */
export function thisMachine(): Machine {
  const limit = process.constrainedMemory() ?? 0;
  const memory = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return { cores: Math.min(availableParallelism(), coresOf(quota())), memory };
}

/** What the control group of this process says of processor time, which Node.js does not heed; empty outside of one. */
function quota(): string {
  try {
    return readFileSync('/sys/fs/cgroup/cpu.max', 'utf8');
  } catch {
    return '';
  }
}

/**
 * The cores that a quota such as "150000 100000" (microseconds in each period) comes to, at least one; Infinity for "max".
 * https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
 */
export function coresOf(cpuMax: string): number {
  const [time, period] = cpuMax.trim().split(' ').map(Number);
  return time! / period! > 0 ? Math.max(1, Math.floor(time! / period!)) : Infinity;
}

/**
 * Workers and threads for a machine, as far as they are not given. throughput: a worker a core, as far as half of the
 * memory holds the weights of their graphs twice; latency: one worker on all cores.
 */
export function arrange(
  { optimize, workers: given, threads }: Pick<Config, 'optimize' | 'workers' | 'threads'>,
  models: readonly ModelSource[],
  { cores, memory }: Machine = thisMachine(),
): Arrangement {
  const weights = models.reduce((sum, { manifest }) => sum + bytesOf(manifest), 0);
  const fitting = Math.max(1, Math.floor(memory / 2 / (2 * weights)));
  const workers = given || (optimize === 'latency' ? 1 : Math.min(cores, fitting, MOST_WORKERS));
  return { workers, threads: threads || Math.max(1, Math.floor(cores / workers)) };
}

/**
 * The same for GPUs: a worker each, and for throughput a second one, which copies while the first computes. What is left
 * for the CPU needs no threads.
 */
export function arrangeOnGpus(
  { optimize, workers, threads }: Pick<Config, 'optimize' | 'workers' | 'threads'>,
  gpus: number,
): Arrangement {
  return { workers: workers || gpus * (optimize === 'latency' ? 1 : 2), threads: threads || 1 };
}

const bytesOf = (manifest: Manifest): number => manifest.files['weights.bin'].bytes * (isInvertible(manifest) ? 2 : 1);

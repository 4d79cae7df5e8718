import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Registry } from 'prom-client';
import { seriesIn } from './declared.js';

/** The state of a GPU. What the driver does not report is undefined. */
export interface Gpu {
  readonly index: string;
  /** From 0 to 1. */
  readonly utilization: number | undefined;
  /** Bytes. */
  readonly used: number | undefined;
  readonly total: number | undefined;
}

const QUERY = ['--query-gpu=index,utilization.gpu,memory.used,memory.total', '--format=csv,noheader,nounits'];
/** Milliseconds that nvidia-smi may take, and for which its answer is cached. */
const PATIENCE = 2000;
const FRESH = 5000;

/**
 * Reads the state of the GPUs, and caches it for some seconds. Where the command fails at the start, there are no GPUs, and
 * it is not tried again.
 */
export function watchGpus(command = 'nvidia-smi'): () => Promise<readonly Gpu[]> {
  let asked = performance.now();
  let answer = ask(command);
  const there = answer.then(
    () => true,
    () => false,
  );
  return async () => {
    if (!(await there)) return [];
    if (performance.now() - asked > FRESH) {
      asked = performance.now();
      answer = ask(command);
    }
    return answer.catch(() => []);
  };
}

/** Creates the series of the GPUs. @returns a function that updates them */
export function gpuSeries(registry: Registry, gpus: () => Promise<readonly Gpu[]>): () => Promise<void> {
  const { gauge } = seriesIn(registry);
  const utilization = gauge('irevnet_gpu_utilization_ratio');
  const used = gauge('irevnet_gpu_memory_used_bytes');
  const total = gauge('irevnet_gpu_memory_total_bytes');
  return async () => {
    const found = await gpus();
    for (const series of [utilization, used, total]) series.reset();
    for (const gpu of found) {
      const labels = { gpu: gpu.index };
      if (gpu.utilization !== undefined) utilization.set(labels, gpu.utilization);
      if (gpu.used !== undefined) used.set(labels, gpu.used);
      if (gpu.total !== undefined) total.set(labels, gpu.total);
    }
  };
}

async function ask(command: string): Promise<Gpu[]> {
  const { stdout } = await promisify(execFile)(command, QUERY, { timeout: PATIENCE, killSignal: 'SIGKILL' });
  return parseGpus(stdout);
}

const PER_CENT = 100;
const PER_MEBIBYTE = 2 ** -20;

/** Reads lines such as "0, 35, 1024, 81559": index, per cent, MiB, MiB. */
export const parseGpus = (csv: string): Gpu[] =>
  csv
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [index = '', utilization, used, total] = line.split(',').map((cell) => cell.trim());
      return {
        index,
        utilization: per(PER_CENT, utilization),
        used: per(PER_MEBIBYTE, used),
        total: per(PER_MEBIBYTE, total),
      };
    });

/** A number in a unit; undefined for "[N/A]". */
function per(unit: number, text: string | undefined): number | undefined {
  const value = Number.parseFloat(text ?? '');
  return Number.isNaN(value) ? undefined : value / unit;
}

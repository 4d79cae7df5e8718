import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { isInvertible, type Manifest } from '../../export/model/manifest.js';
import type { ModelSource } from '../../export/model/models-folder.js';
import type { Provider } from '../../export/runtime/session.js';
import { type Config, numbersIn } from '../common/config.js';
import type { Edition } from './protocol.js';

// How many workers and threads there are, and how many images a batch has, where the settings leave it open.

/** Cores and bytes of memory that this process may use. */
export interface Machine {
  readonly cores: number;
  readonly memory: number;
}

export function thisMachine(): Machine {
  const limit = process.constrainedMemory() ?? 0;
  const memory = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return { cores: Math.min(availableParallelism(), coresOf(cpuQuota())), memory };
}

/** The CPU quota of the process's control group, which Node.js does not look at; empty where there is none. */
function cpuQuota(): string {
  try {
    return readFileSync('/sys/fs/cgroup/cpu.max', 'utf8');
  } catch {
    return '';
  }
}

/**
 * The cores of a quota such as "150000 100000" (microseconds in each period), at least one; Infinity for "max".
 * https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
 */
export function coresOf(cpuMax: string): number {
  const [time, period] = cpuMax.trim().split(' ').map(Number);
  return time! / period! > 0 ? Math.max(1, Math.floor(time! / period!)) : Infinity;
}

export interface Arrangement {
  readonly workers: number;
  /** Threads of each worker. */
  readonly threads: number;
}

type ArrangementSettings = Pick<Config, 'optimize' | 'workers' | 'threads'>;

/** More workers than this gain little, and each holds every model: further cores become threads. */
const MOST_WORKERS = 8;

/**
 * Workers and threads on CPU cores. Throughput: a worker per core, as long as half of the memory holds the weights of
 * their graphs twice; latency: one worker on all cores.
 */
export function arrangeOnCores(
  { optimize, workers: given, threads }: ArrangementSettings,
  models: readonly ModelSource[],
  { cores, memory }: Machine,
): Arrangement {
  const weights = models.reduce((sum, { manifest }) => sum + weightBytes(manifest), 0);
  const fitting = Math.max(1, Math.floor(memory / 2 / (2 * weights)));
  const workers = given || (optimize === 'latency' ? 1 : Math.min(cores, fitting, MOST_WORKERS));
  return { workers, threads: threads || Math.max(1, Math.floor(cores / workers)) };
}

/**
 * Why another model does not fit into memory beside what this process holds: its weights alone are larger than the rest.
 * @param held bytes that the process holds
 * @returns undefined where it may fit
 */
export function lackOfMemory(
  manifest: Manifest,
  workers: number,
  { memory }: Pick<Machine, 'memory'>,
  held: number,
): string | undefined {
  const needed = workers * weightBytes(manifest);
  const left = Math.max(0, memory - held);
  if (needed <= left) return undefined;
  const mebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  return `its weights take ${mebibytes(needed)} in ${workers} workers, and ${mebibytes(left)} of memory are left: unload another model first, or start the service with fewer workers`;
}

/** Bytes of the weights of a model's graphs: each graph has a copy. */
const weightBytes = (manifest: Manifest): number =>
  manifest.files['weights.bin'].bytes * (isInvertible(manifest) ? 2 : 1);

/**
 * Workers and threads for GPUs: a worker per GPU, and for throughput a second one, which copies while the first computes.
 * The few nodes that run on the CPU need no further threads.
 */
export const arrangeOnGpus = ({ optimize, workers, threads }: ArrangementSettings, gpus: number): Arrangement => ({
  workers: workers || gpus * (optimize === 'latency' ? 1 : 2),
  threads: threads || 1,
});

/** Pixels in a batch beyond which larger batches are not faster (measured by `npm run bench -- ceiling`). */
const BATCH_PIXELS: Readonly<Record<Provider, number>> = { cpu: 2 ** 18, cuda: 2 ** 21 };
/** Images in a batch beyond which the wait for the batch before costs more than a larger one gains. */
const MOST_IMAGES: Readonly<Record<Provider, number>> = { cpu: 16, cuda: 64 };
/** Default buckets. On GPUs each size of batch has a session, and may have kernels and last bits, of its own. */
const BUCKETS: Readonly<Record<Provider, readonly number[]>> = { cpu: [], cuda: [1, 8, 64] };

/** Images in the largest batch of a model, and the sizes that its batches are padded up to. */
export function batchSizes(
  { maxBatch, batchBuckets }: Pick<Config, 'maxBatch' | 'batchBuckets'>,
  manifest: Pick<Manifest, 'input'>,
  provider: Provider,
): Pick<Edition, 'limit' | 'buckets'> {
  const given = numbersIn(batchBuckets);
  const wanted = given.length > 0 ? given : BUCKETS[provider];
  const largest = wanted.length > 0 ? Math.max(...wanted) : Infinity;
  const limit = Math.min(largest, maxBatch || gainfulBatch(manifest, provider));
  return { limit, buckets: bucketsOf(wanted, limit) };
}

/** The largest batch, a power of two, up to which images per second grow. */
export function gainfulBatch(
  { input }: Pick<Manifest, 'input'>,
  provider: Provider,
  most = MOST_IMAGES[provider],
): number {
  const images = BATCH_PIXELS[provider] / (input.height * input.width);
  return Math.min(most, 2 ** Math.max(0, Math.floor(Math.log2(images))));
}

/** The buckets that are smaller than the limit, ascending, and the limit itself; none where none are wanted. */
export const bucketsOf = (wanted: readonly number[], limit: number): number[] =>
  wanted.length === 0
    ? []
    : [...new Set(wanted)]
        .filter((size) => size < limit)
        .sort((a, b) => a - b)
        .concat(limit);

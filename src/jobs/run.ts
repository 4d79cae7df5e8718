import { join, relative, resolve } from 'node:path';
import type { Manifest } from '../../export/model/manifest.js';
import { readModels } from '../../export/model/models-folder.js';
import type { Config } from '../common/config.js';
import { openEngine } from '../engine/engine.js';
import { gainfulBatch, thisMachine } from '../engine/sizing.js';
import type { Invert } from '../images/steps.js';
import { computeParts } from './compute.js';
import { BatchError, writingTo } from './errors.js';
import { type Inputs, inputsHash, listInputs } from './inputs.js';
import { operations } from './operations.js';
import type { PartRecord } from './part.js';
import { type DataFormat, modelHash, type OperationName, type Plan, partSize, planOf, type Shard } from './plan.js';
import { openReaders } from './readers.js';
import type { ReaderSettings } from './reading.js';
import { finish, inspect, type Opened } from './shard.js';
import { openShard } from './shard-folder.js';

export interface Job {
  readonly operation: OperationName;
  /** A folder or a manifest. */
  readonly input: string;
  readonly output: string;
  readonly shard: Shard;
  readonly data?: DataFormat | undefined;
  /** Inputs in a part. */
  readonly part?: number | undefined;
  readonly invert: Invert;
  readonly topK: number;
  /** Threads that read and decode. */
  readonly readers?: number | undefined;
}

/** Who is told how a job goes on. */
export interface Watcher {
  /** Once the model is loaded: inputs that are there already, and of the whole shard. */
  begin(done: number, total: number): void;
  /** Some more inputs, of which so many are bad. */
  step(inputs: number, bad: number): void;
}

export interface Summary {
  readonly operation: OperationName;
  readonly shard: string;
  readonly outcome: 'finished' | 'interrupted';
  /** Inputs of the shard; of them computed by this run, and there before. */
  readonly inputs: number;
  readonly computed: number;
  readonly kept: number;
  /** Inputs without a result among those that are there. */
  readonly bad: number;
  /** From the model being loaded to the last byte written, and all of it. */
  readonly seconds: number;
  readonly secondsInAll: number;
  /** Processor time within `seconds`, of all threads together. */
  readonly cpuSeconds: number;
  readonly imagesPerSecond: number;
}

/**
 * Nobody waits for a single image, so batches are larger than those of the service, which gain a tenth more. On GPUs sizes go
 * up to the largest of --batch-buckets.
 */
const TIMES = 2;
const MOST_IMAGES = 128;

/** One reading thread for so many cores: it has several files decoded at once, and small ones take it little. */
const CORES_A_READER = 4;

/**
 * Does what is missing of a shard. When the signal is aborted it stops soon, with whole parts written.
 * @throws BatchError, ModelError
 */
export async function runShard(job: Job, config: Config, signal: AbortSignal, watcher: Watcher): Promise<Summary> {
  const start = performance.now();
  const { manifest } = (await readModels(config.models, { only: config.model, files: config.backend === 'local' }))[0]!;
  checkTopK(job, manifest);
  checkFolders(job);
  const inputs = await listInputs(job.input, operations[job.operation].reads);
  const plan = planFor(job, manifest, inputs);
  const { opened, parts, time } = await writingTo(job.output, async () => {
    const opened = await inspect(await openShard(job.output, plan, job.shard), plan, job.shard.index);
    const done = await compute(job, config, opened, { manifest, inputs, signal, watcher });
    const parts = [...opened.kept, ...done.parts];
    if (done.parts.length === opened.missing.length) await finish(opened, parts);
    return { opened, parts, time: done.time };
  });
  return summaryOf(job, opened, parts, { ...time, secondsInAll: (performance.now() - start) / 1000 });
}

interface Means {
  readonly manifest: Manifest;
  readonly inputs: Inputs;
  readonly signal: AbortSignal;
  readonly watcher: Watcher;
}

/** Computes what is missing; the model is loaded only if something is. */
async function compute(job: Job, config: Config, opened: Opened, means: Means) {
  const parts: PartRecord[] = [];
  if (opened.missing.length === 0) return { parts, time: { seconds: 0, cpuSeconds: 0 } };
  const { manifest, inputs, signal, watcher } = means;
  const count = job.readers ?? Math.ceil(thisMachine().cores / CORES_A_READER);
  const preload = job.operation === 'invert' ? 'both' : 'forward';
  const maxBatch = config.maxBatch || TIMES * gainfulBatch(manifest, 'cpu', MOST_IMAGES / TIMES);
  const engine = await openEngine({ ...config, preload, maxBatch }, { only: config.model });
  const readers = openReaders(count, readerSettings(job, config, manifest, inputs));
  try {
    await engine.ready;
    const time = stopwatch();
    watcher.begin(sizeOf(opened.kept), sizeOf([...opened.kept, ...opened.missing]));
    const { items } = inputs;
    const settings = {
      engine,
      manifest,
      read: readers.read,
      readers: count,
      items,
      batch: maxBatch,
      topK: job.topK,
      signal,
    };
    for await (const part of computeParts(opened, { ...settings, progress: watcher.step })) parts.push(part);
    return { parts, time: time() };
  } finally {
    await readers.close();
    await engine.close();
  }
}

/** Gives the seconds since it was made. */
function stopwatch() {
  const [begun, cpu] = [performance.now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return { seconds: (performance.now() - begun) / 1000, cpuSeconds: (user + system) / 1e6 };
  };
}

const sizeOf = (ranges: readonly { from: number; to: number }[]): number =>
  ranges.reduce((sum, { from, to }) => sum + to - from, 0);

function planFor(job: Job, manifest: Manifest, { items }: Inputs): Plan {
  const { operation, shard } = job;
  const { formats, reads, row } = operations[operation];
  const shape = [...row(manifest)];
  return planOf({
    operation,
    model: manifest.name,
    modelSha256: modelHash(manifest),
    inputs: items.length,
    inputsSha256: inputsHash(items),
    options: {
      ...(reads === 'images' && { invert: job.invert }),
      ...(operation === 'classify' && { topK: job.topK }),
    },
    data: job.data ?? formats[0]!,
    row: shape,
    part: partSize(job.part, shape),
    shards: shard.of,
  });
}

function readerSettings(job: Job, { maxPixels }: Config, manifest: Manifest, { root }: Inputs): ReaderSettings {
  if (operations[job.operation].reads === 'features') return { root, kind: 'features', shape: manifest.features.shape };
  const { input, preprocessing } = manifest;
  return { root, kind: 'images', manifest: { input, preprocessing }, invert: job.invert, maxPixels };
}

function checkTopK({ topK, operation }: Job, { labels, name }: Manifest): void {
  if (operation === 'classify' && topK > labels.length) {
    throw new BatchError(`--top-k is ${topK}; model ${name} has ${labels.length} labels`);
  }
}

/** Results among the inputs would be inputs of the next run. */
function checkFolders({ input, output }: Job): void {
  const way = relative(resolve(input), resolve(output));
  if (way !== '..' && !way.startsWith('../')) {
    throw new BatchError(
      `the output folder ${output} lies in the input ${input}; name one beside it, such as ${join(input, '..', 'out')}`,
    );
  }
}

function summaryOf(
  { operation, shard }: Job,
  { kept, missing }: Opened,
  parts: readonly PartRecord[],
  { seconds, secondsInAll, cpuSeconds }: Pick<Summary, 'seconds' | 'secondsInAll' | 'cpuSeconds'>,
): Summary {
  const computed = sizeOf(parts) - sizeOf(kept);
  return {
    operation,
    shard: `${shard.index}/${shard.of}`,
    outcome: parts.length === kept.length + missing.length ? 'finished' : 'interrupted',
    inputs: sizeOf([...kept, ...missing]),
    computed,
    kept: sizeOf(kept),
    bad: parts.reduce((sum, { from, to, rows }) => sum + to - from - rows, 0),
    seconds: rounded(seconds),
    secondsInAll: rounded(secondsInAll),
    cpuSeconds: rounded(cpuSeconds),
    imagesPerSecond: seconds > 0 ? rounded(computed / seconds) : 0,
  };
}

const rounded = (value: number): number => Number(value.toPrecision(4));

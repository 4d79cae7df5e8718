import { join, relative, resolve } from 'node:path';
import { version } from '../../export/files/package.js';
import { sha256 } from '../../export/files/write.js';
import type { Manifest } from '../../export/model/manifest.js';
import { readModel } from '../../export/model/models-folder.js';
import type { Config } from '../common/config.js';
import { modelOf, openEngine } from '../engine/engine.js';
import { gainfulBatch } from '../engine/sizing.js';
import type { Invert } from '../images/steps.js';
import { computeParts } from './compute.js';
import { BatchError, writingTo } from './errors.js';
import { type Inputs, inputsHash, listInputs } from './inputs.js';
import { openOutput } from './output.js';
import { badIn, type PartRecord } from './part.js';
import {
  type DataFormat,
  type Item,
  type Part,
  PLAN_FORMAT,
  type Plan,
  partSize,
  type Shard,
  shardParts,
  type TaskName,
} from './plan.js';
import { openReaders, usualReaders } from './readers.js';
import type { ReaderSettings } from './reading.js';
import { tasks } from './tasks.js';

export interface Job {
  readonly task: TaskName;
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

/** Receives the progress of a run. */
export interface Watcher {
  /** Called when the model is loaded, with the number of inputs that earlier runs computed and of all inputs of the shard. */
  begin(done: number, total: number): void;
  /** Called after each batch, with the number of its inputs and of its bad inputs. */
  step(inputs: number, bad: number): void;
}

export interface Summary {
  readonly operation: TaskName;
  readonly shard: string;
  readonly outcome: 'finished' | 'interrupted';
  /** Inputs of the shard, those that this run computed, and those that earlier runs had computed. */
  readonly inputs: number;
  readonly computed: number;
  readonly kept: number;
  /** Computed or kept inputs without a result. */
  readonly bad: number;
  /** From the loaded model to the last byte written, and the whole run. */
  readonly seconds: number;
  readonly secondsInAll: number;
  /** Processor time of all threads during `seconds`. */
  readonly cpuSeconds: number;
  readonly imagesPerSecond: number;
}

/**
 * Batches are larger than those of the service, because no client waits for a single image. That is a tenth faster. On GPUs
 * batches go up to the largest of --batch-buckets.
 */
const TIMES = 2;
const MOST_IMAGES = 128;

/**
 * Computes the missing parts of a shard. After an abort it stops soon, with complete parts written.
 * @throws BatchError, ModelError
 */
export async function runShard(job: Job, config: Config, signal: AbortSignal, watcher: Watcher): Promise<Summary> {
  const start = performance.now();
  const { manifest } = await readModel(config.models, config.model, { files: config.backend === 'local' });
  checkTopK(job, manifest);
  checkFolders(job);
  const inputs = await listInputs(job.input, tasks[job.task].reads);
  const plan = planFor(job, manifest, inputs.items);
  const parts = shardParts(plan, job.shard);
  const { kept, missing, computed, time } = await writingTo(job.output, async () => {
    const { kept, missing } = await openOutput(job.output, plan, parts);
    const begin = () => watcher.begin(countInputs(kept), countInputs(parts));
    const { computed, time } = await compute(job, config, { manifest, inputs, plan, missing, signal, begin, watcher });
    return { kept, missing, computed, time };
  });
  return {
    operation: job.task,
    shard: `${job.shard.index}/${job.shard.of}`,
    outcome: computed.length === missing.length ? 'finished' : 'interrupted',
    inputs: countInputs(parts),
    computed: countInputs(computed),
    kept: countInputs(kept),
    bad: [...kept, ...computed].reduce((sum, record) => sum + badIn(record), 0),
    seconds: rounded(time.seconds),
    secondsInAll: rounded((performance.now() - start) / 1000),
    cpuSeconds: rounded(time.cpuSeconds),
    imagesPerSecond: time.seconds > 0 ? rounded(countInputs(computed) / time.seconds) : 0,
  };
}

interface Work {
  readonly manifest: Manifest;
  readonly inputs: Inputs;
  readonly plan: Plan;
  readonly missing: readonly Part[];
  readonly signal: AbortSignal;
  /** Called when the model is loaded. */
  readonly begin: () => void;
  readonly watcher: Watcher;
}

/** Computes the missing parts. Loads the model only if there are any. */
async function compute(job: Job, config: Config, { manifest, inputs, plan, missing, signal, begin, watcher }: Work) {
  const computed: PartRecord[] = [];
  if (missing.length === 0) return { computed, time: { seconds: 0, cpuSeconds: 0 } };
  const count = job.readers ?? usualReaders();
  const preload = job.task === 'invert' ? 'both' : 'forward';
  const maxBatch = config.maxBatch || TIMES * gainfulBatch(manifest, 'cpu', MOST_IMAGES / TIMES);
  const engine = await openEngine({ ...config, preload, maxBatch }, { only: config.model });
  const readers = openReaders(count, readerSettings(job, config, manifest, inputs));
  try {
    await engine.ready;
    const time = stopwatch();
    begin();
    const records = computeParts(job.output, plan, missing, {
      engine,
      manifest: modelOf(engine),
      read: readers.read,
      readers: count,
      items: inputs.items,
      batch: maxBatch,
      topK: job.topK,
      signal,
      progress: watcher.step,
    });
    for await (const record of records) computed.push(record);
    return { computed, time: time() };
  } finally {
    await readers.close();
    await engine.close();
  }
}

/** Returns a function that gives the seconds since this call. */
function stopwatch() {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return { seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6 };
  };
}

const countInputs = (ranges: readonly { from: number; to: number }[]): number =>
  ranges.reduce((sum, { from, to }) => sum + to - from, 0);

/** Equal plans must have equal bytes, so the order of members is fixed here. */
function planFor({ task, data, part, invert, topK }: Job, manifest: Manifest, items: readonly Item[]): Plan {
  const { formats, reads, row } = tasks[task];
  const shape = [...row(manifest)];
  return {
    format: PLAN_FORMAT,
    version,
    task,
    model: manifest.name,
    modelSha256: modelHash(manifest),
    inputs: items.length,
    inputsSha256: inputsHash(items),
    options: { ...(reads === 'images' && { invert }), ...(task === 'classify' && { topK }) },
    data: data ?? formats[0]!,
    row: shape,
    part: partSize(part, items.length, shape),
  };
}

/** A hash of everything in a model that results depend on. */
const modelHash = ({ files, input, preprocessing, labels }: Manifest): string =>
  sha256(JSON.stringify({ files, input, preprocessing, labels }));

function readerSettings(job: Job, { maxPixels }: Config, manifest: Manifest, { root }: Inputs): ReaderSettings {
  if (tasks[job.task].reads === 'features') return { root, kind: 'features', shape: manifest.features.shape };
  const { input, preprocessing } = manifest;
  return { root, kind: 'images', manifest: { input, preprocessing }, invert: job.invert, maxPixels };
}

function checkTopK({ topK, task }: Job, { labels, name }: Manifest): void {
  if (task === 'classify' && topK > labels.length) {
    throw new BatchError(`--top-k is ${topK}; model ${name} has ${labels.length} labels`);
  }
}

/** Results in the input folder would become inputs of the next run. */
function checkFolders({ input, output }: Job): void {
  const way = relative(resolve(input), resolve(output));
  if (way !== '..' && !way.startsWith('../')) {
    throw new BatchError(
      `the output folder ${output} lies in the input ${input}; name one beside it, such as ${join(input, '..', 'out')}`,
    );
  }
}

const rounded = (value: number): number => Number(value.toPrecision(4));

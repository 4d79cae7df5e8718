import { type Tensor, tensor } from '../../export/graph/tensor.js';
import type { Manifest } from '../../export/model/manifest.js';
import type { Engine } from '../engine/engine.js';
import { type Facts, isBad, type Outcome } from './index-lines.js';
import type { Item } from './inputs.js';
import { type Computed, type OperationContext, operations } from './operations.js';
import { mapOrdered } from './ordered.js';
import { type PartContent, type PartRecord, writePart } from './part.js';
import type { Part, Plan } from './plan.js';
import type { Read, Reader } from './reading.js';
import type { Opened } from './shard.js';

export interface ComputeSettings {
  readonly engine: Engine;
  readonly manifest: Manifest;
  readonly read: Reader;
  /** Lists that are read at once. */
  readonly readers: number;
  readonly items: readonly Item[];
  /** Images in a batch. */
  readonly batch: number;
  readonly topK: number;
  /** Once aborted, nothing more is begun: parts that are whole by then are written, others are dropped. */
  readonly signal: AbortSignal;
  /** Told of every batch: its inputs, and how many of them are bad. */
  readonly progress: (inputs: number, bad: number) => void;
}

/** Batches that are ready beside those that are read or computed, so that nobody waits for the next. */
const SPARE = 2;
/** Parts that are written at once, while the next is computed. */
const WRITTEN_AT_ONCE = 2;

/** Inputs that are read and computed together; all of one part. */
interface Batch {
  readonly part: Part;
  readonly items: readonly Item[];
}

/**
 * Computes the missing parts of a shard and writes them, in order. Reading, computing and writing overlap; what is held is
 * limited, whatever the number of inputs.
 */
export async function* computeParts(opened: Opened, settings: ComputeSettings): AsyncGenerator<PartRecord> {
  const { plan, folder, missing, moments } = opened;
  const { engine, manifest, read, readers, topK } = settings;
  const context = { engine, manifest, data: plan.data, topK, moments };
  const batches = mapOrdered(batchesOf(missing, settings), readers + SPARE, async (batch) => ({
    ...batch,
    read: await read(batch.items),
  }));
  const computed = mapOrdered(batches, engine.status().workers + SPARE, async ({ read, ...batch }) => ({
    ...batch,
    ...(await compute(plan, read, context)),
  }));
  yield* mapOrdered(wholeParts(computed, settings), WRITTEN_AT_ONCE, (content) => writePart(folder, plan, content));
}

function* batchesOf(parts: readonly Part[], { items, batch, signal }: ComputeSettings): Generator<Batch> {
  for (const part of parts) {
    for (let from = part.from; from < part.to; from += batch) {
      if (signal.aborted) return;
      yield { part, items: items.slice(from, Math.min(part.to, from + batch)) };
    }
  }
}

async function compute(plan: Plan, { outcomes, data }: Read, context: OperationContext): Promise<Computed> {
  const good = outcomes.filter((outcome) => !isBad(outcome)).length;
  if (good === 0) return { outcomes, pieces: [] };
  const computed = await operations[plan.operation].run(inputOf(data, good, context.manifest), context);
  return { outcomes: joined(outcomes, computed.outcomes), pieces: computed.pieces };
}

function inputOf(data: Read['data'], count: number, { input, features }: Manifest): Tensor {
  const { height, width, channels } = input;
  if (data instanceof Uint8Array) return tensor('uint8', [count, height, width, channels], data);
  return tensor('float32', [count, ...features.shape], data);
}

/** What was told of each when it was read, and what was told of those that could be read when they were computed. */
function joined(read: readonly Outcome[], computed: readonly Outcome[]): Outcome[] {
  let next = 0;
  return read.map((outcome) => {
    if (isBad(outcome)) return outcome;
    const more = computed[next++]!;
    return isBad(more) ? more : { ...more, ...(outcome as Facts) };
  });
}

/** Puts batches together to the parts that they are of; the last part is dropped where it is not whole. */
async function* wholeParts(
  batches: AsyncIterable<Batch & Computed>,
  { progress }: ComputeSettings,
): AsyncGenerator<PartContent> {
  let gathered: (Batch & Computed)[] = [];
  let inputs = 0;
  for await (const batch of batches) {
    gathered.push(batch);
    inputs += batch.items.length;
    progress(batch.items.length, batch.outcomes.filter(isBad).length);
    const { part } = batch;
    if (inputs < part.to - part.from) continue;
    yield {
      part,
      items: gathered.flatMap(({ items }) => items),
      outcomes: gathered.flatMap(({ outcomes }) => outcomes),
      pieces: gathered.flatMap(({ pieces }) => pieces),
    };
    [gathered, inputs] = [[], 0];
  }
}

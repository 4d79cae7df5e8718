import { type Tensor, tensor } from '../../export/graph/tensor.js';
import type { Manifest } from '../../export/model/manifest.js';
import type { Engine } from '../engine/engine.js';
import { type Facts, isBad, type Outcome } from './index-lines.js';
import { mapOrdered } from './ordered.js';
import { type PartContent, type PartRecord, writePart } from './part.js';
import type { Item, Part, Plan } from './plan.js';
import type { Read, Reader } from './reading.js';
import { type Computed, type TaskContext, tasks } from './tasks.js';

export interface ComputeSettings {
  readonly engine: Engine;
  readonly manifest: Manifest;
  readonly read: Reader;
  /** Batches that are read at once. */
  readonly readers: number;
  /** All inputs of the job. */
  readonly items: readonly Item[];
  /** Inputs in a batch. */
  readonly batch: number;
  readonly topK: number;
  /** After an abort no batch is started: complete parts are written, an incomplete one is dropped. */
  readonly signal: AbortSignal;
  /** Called after each batch, with the number of its inputs and of its bad inputs. */
  readonly progress: (inputs: number, bad: number) => void;
}

/** Batches that are finished and wait for the next stage, so that no thread is idle. */
const SPARE = 2;
/** Parts that are written at once, while the next is computed. */
const WRITTEN_AT_ONCE = 2;

/** Inputs of one part that are read and computed together. */
interface Batch {
  readonly part: Part;
  readonly items: readonly Item[];
}

/**
 * Computes parts and writes them, in order. Reading, computing and writing overlap. The memory in use does not depend on the
 * number of inputs.
 * @returns the records of the written parts
 */
export async function* computeParts(
  output: string,
  plan: Plan,
  parts: readonly Part[],
  settings: ComputeSettings,
): AsyncGenerator<PartRecord> {
  const { engine, manifest, read, readers, topK } = settings;
  const context = { engine, manifest, data: plan.data, topK };
  const batches = mapOrdered(batchesOf(parts, settings), readers + SPARE, async (batch) => ({
    ...batch,
    read: await read(batch.items),
  }));
  const computed = mapOrdered(batches, engine.status().workers + SPARE, async ({ read, ...batch }) => ({
    ...batch,
    ...(await compute(plan, read, context)),
  }));
  yield* mapOrdered(completeParts(computed, settings), WRITTEN_AT_ONCE, (content) => writePart(output, plan, content));
}

function* batchesOf(parts: readonly Part[], { items, batch, signal }: ComputeSettings): Generator<Batch> {
  for (const part of parts) {
    for (let from = part.from; from < part.to; from += batch) {
      if (signal.aborted) return;
      yield { part, items: items.slice(from, Math.min(part.to, from + batch)) };
    }
  }
}

async function compute(plan: Plan, { outcomes, data }: Read, context: TaskContext): Promise<Computed> {
  const good = outcomes.filter((outcome) => !isBad(outcome)).length;
  if (good === 0) return { outcomes, pieces: [] };
  const computed = await tasks[plan.task].run(inputOf(data, good, context.manifest), context);
  return { outcomes: joined(outcomes, computed.outcomes), pieces: computed.pieces };
}

function inputOf(data: Read['data'], count: number, { input, features }: Manifest): Tensor {
  const { height, width, channels } = input;
  if (data instanceof Uint8Array) return tensor('uint8', [count, height, width, channels], data);
  return tensor('float32', [count, ...features.shape], data);
}

/** Joins the outcomes of reading with those of computing, which has an outcome for each input that could be read. */
function joined(read: readonly Outcome[], computed: readonly Outcome[]): Outcome[] {
  let next = 0;
  return read.map((outcome) => {
    if (isBad(outcome)) return outcome;
    const more = computed[next++]!;
    return isBad(more) ? more : { ...more, ...(outcome as Facts) };
  });
}

/** Joins consecutive batches of a part. The last part is dropped if an abort left it incomplete. */
async function* completeParts(
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

import { type Static, Type } from 'typebox';
import { sha256 } from '../../export/files/write.js';
import { sizeOf } from '../../export/graph/tensor.js';
import { BatchError } from './errors.js';

export const taskNames = ['encode', 'classify', 'invert'] as const;
export type TaskName = (typeof taskNames)[number];
export const dataFormats = ['safetensors', 'npy', 'png'] as const;
export type DataFormat = (typeof dataFormats)[number];

/** What a task reads. */
export type InputKind = 'images' | 'features';

/** One input of a job: an image file or a range of one, or a row of a file of features. */
export interface Item {
  readonly id: string;
  /** Relative to the root of the inputs, or absolute. */
  readonly path: string;
  readonly row?: number;
  /** The first byte of an image inside the file, and how many it has; default: all. */
  readonly range?: readonly [from: number, length: number];
}

const Count = Type.Integer({ minimum: 0 });
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });

export const PLAN_FORMAT = 3;

/**
 * Everything that the results of a job depend on. Runs belong to the same job if and only if their plans are equal. A plan
 * names no folders, because machines may mount them in different places, and no shards, because results do not depend on them.
 */
export const Plan = Type.Object({
  format: Type.Literal(PLAN_FORMAT),
  version: Type.String(),
  task: Type.Enum([...taskNames]),
  model: Type.String(),
  modelSha256: Sha256,
  inputs: Type.Integer({ minimum: 1 }),
  inputsSha256: Sha256,
  options: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()])),
  data: Type.Enum([...dataFormats]),
  row: Type.Array(Count, { description: 'the shape of the result of one input' }),
  part: Type.Integer({ minimum: 1, description: 'inputs in a part' }),
});
export type Plan = Static<typeof Plan>;

/** The hash by which a part names the plan that it belongs to. */
export const planHash = (plan: Plan): string => sha256(JSON.stringify(plan));

/** Inputs [from, to) of the job, which are written together and are lost together when a run is killed. */
export interface Part {
  readonly index: number;
  readonly from: number;
  readonly to: number;
}

/** All parts of a job: part k has the inputs from k · P to (k + 1) · P. The last part may be smaller. */
export const partsOf = ({ inputs, part }: Plan): Part[] =>
  Array.from({ length: Math.ceil(inputs / part) }, (_, index) => ({
    index,
    from: index * part,
    to: Math.min(inputs, (index + 1) * part),
  }));

/** The shard with this number of a job that is divided into `of` shards. Numbers start at 0. */
export interface Shard {
  readonly index: number;
  readonly of: number;
}

/**
 * The parts of a shard. They are consecutive, and shards differ by one part at most. Of more shards than parts, some are empty.
 */
export function shardParts(plan: Plan, { index, of }: Shard): Part[] {
  const parts = partsOf(plan);
  return parts.slice(Math.floor((index * parts.length) / of), Math.floor(((index + 1) * parts.length) / of));
}

/** Bytes of results in a part: the usual limit, and the limit for --part. A part is held in memory. */
const [USUAL_BYTES, MOST_BYTES] = [16 * 2 ** 20, 2 ** 30];
const MOST_INPUTS = 1024;
/** A job gets at least so many parts, if it has as many inputs, so that it can be divided into shards evenly. */
const FEWEST_PARTS = 32;

/**
 * The number of inputs in a part: the given one, or a power of two that depends on nothing but the job.
 * @param row the shape of the result of one input, float32
 * @throws BatchError when a part would not fit into memory
 */
export function partSize(given: number | undefined, inputs: number, row: readonly number[]): number {
  const bytes = 4 * sizeOf(row);
  if (given !== undefined && given * bytes > MOST_BYTES) {
    throw new BatchError(
      `--part ${given} makes parts of ${given * bytes} bytes; at most ${Math.floor(MOST_BYTES / bytes)} inputs fit into one`,
    );
  }
  const most = Math.max(1, Math.min(MOST_INPUTS, inputs / FEWEST_PARTS, USUAL_BYTES / bytes));
  return given ?? 2 ** Math.floor(Math.log2(most));
}

import { type Static, Type } from 'typebox';
import { version } from '../../export/files/package.js';
import { sha256 } from '../../export/files/write.js';
import { sizeOf } from '../../export/graph/tensor.js';
import type { Manifest } from '../../export/model/manifest.js';
import { BatchError } from './errors.js';

export const operationNames = ['encode', 'classify', 'invert'] as const;
export type OperationName = (typeof operationNames)[number];
export const dataFormats = ['safetensors', 'npy', 'png'] as const;
export type DataFormat = (typeof dataFormats)[number];

const Count = Type.Integer({ minimum: 0 });
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });

/**
 * All that the results of a job depend on. It lies in every shard: shards belong together, and what is there of a shard
 * belongs to it, where the plans are the same. Folders are not named, so they may be elsewhere on another machine.
 */
export const Plan = Type.Object({
  format: Type.Literal(2),
  version: Type.String(),
  operation: Type.Enum([...operationNames]),
  model: Type.String(),
  modelSha256: Sha256,
  inputs: Type.Integer({ minimum: 1 }),
  inputsSha256: Sha256,
  options: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()])),
  data: Type.Enum([...dataFormats]),
  row: Type.Array(Count, { description: 'the shape of what an input gives' }),
  part: Type.Integer({ minimum: 1, description: 'inputs in a part' }),
  shards: Type.Integer({ minimum: 1 }),
});
export type Plan = Static<typeof Plan>;

/** The plan of a job. Its members come in a fixed order, so equal plans have equal bytes. */
export const planOf = (parts: Omit<Plan, 'format' | 'version'>): Plan => ({
  format: 2,
  version,
  operation: parts.operation,
  model: parts.model,
  modelSha256: parts.modelSha256,
  inputs: parts.inputs,
  inputsSha256: parts.inputsSha256,
  options: parts.options,
  data: parts.data,
  row: parts.row,
  part: parts.part,
  shards: parts.shards,
});

export const planHash = (plan: Plan): string => sha256(JSON.stringify(plan));

/** A hash of all in a model that its results depend on. */
export const modelHash = ({ files, input, preprocessing, labels }: Manifest): string =>
  sha256(JSON.stringify({ files, input, preprocessing, labels }));

/** One of so many shards, counted from 0. */
export interface Shard {
  readonly index: number;
  readonly of: number;
}

/** Inputs [from, to), counted over the whole job. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** The inputs of a shard: as even as can be, and one after the other. */
export const rangeOf = (inputs: number, { index, of }: Shard): Range => ({
  from: Math.floor((index * inputs) / of),
  to: Math.floor(((index + 1) * inputs) / of),
});

export interface Part extends Range {
  /** Within its shard. */
  readonly index: number;
}

/** The parts in which a shard is written; the last may be smaller. */
export function partsOf({ inputs, part, shards }: Plan, index: number): Part[] {
  const { from, to } = rangeOf(inputs, { index, of: shards });
  return Array.from({ length: Math.ceil((to - from) / part) }, (_, i) => ({
    index: i,
    from: from + i * part,
    to: Math.min(to, from + (i + 1) * part),
  }));
}

/** Bytes of the data of a part: about as many where nothing is said, and at most, since a part is held in memory. */
const [CHOSEN, MOST] = [16 * 2 ** 20, 2 ** 30];
const MOST_INPUTS = 1024;

/**
 * Inputs in a part: as given, or a power of two, few enough that little is lost with one. It must not depend on the machine.
 * @throws BatchError when a part could not be held in memory
 */
export function partSize(given: number | undefined, row: readonly number[]): number {
  const bytes = 4 * sizeOf(row);
  if (given !== undefined && given * bytes > MOST) {
    throw new BatchError(
      `--part ${given} makes parts of ${given * bytes} bytes; at most ${Math.floor(MOST / bytes)} inputs fit into one`,
    );
  }
  return given ?? Math.min(MOST_INPUTS, 2 ** Math.max(0, Math.floor(Math.log2(CHOSEN / bytes))));
}

import { rows } from '../../export/graph/rows.js';
import { bytesOf, type Tensor } from '../../export/graph/tensor.js';
import { isInvertible, type Manifest } from '../../export/model/manifest.js';
import type { Engine } from '../engine/engine.js';
import { toPng } from '../images/encode.js';
import { topOf } from '../operations/classify.js';
import { BatchError } from './errors.js';
import { type Bad, type Facts, isBad } from './index-lines.js';
import type { Kind } from './inputs.js';
import type { MomentsBuilder } from './moments.js';
import type { DataFormat, OperationName } from './plan.js';

/** What a batch of inputs gives. */
export interface Computed {
  /** An outcome a row of the input. */
  readonly outcomes: readonly (Bad | Facts)[];
  /** The data of those that are not bad: rows of an array in any number of pieces, or files. */
  readonly pieces: readonly Uint8Array[];
}

export interface OperationContext {
  readonly engine: Engine;
  readonly manifest: Manifest;
  readonly data: DataFormat;
  readonly topK: number;
  /** Of the shard; takes in what is encoded. */
  readonly moments: MomentsBuilder | undefined;
}

/** What `irevnet batch` can do. Adding an operation is an entry here, and its name in plan.ts. */
interface Operation {
  readonly reads: Kind;
  /** What the array of its results is called. */
  readonly array: string;
  /** Formats of its results; the first is the default. */
  readonly formats: readonly DataFormat[];
  /** Whether the results are features, of which moments are taken. */
  readonly moments: boolean;
  /** The shape of what an input gives. */
  row(manifest: Manifest): readonly number[];
  run(input: Tensor, context: OperationContext): Promise<Computed>;
}

const none = (input: Tensor): Facts[] => Array.from({ length: input.dims[0]! }, () => ({}));

const encode: Operation = {
  reads: 'images',
  array: 'features',
  formats: ['safetensors', 'npy'],
  moments: true,
  row: ({ features }) => features.shape,
  async run(input, { engine, manifest, moments }) {
    const { features } = await engine.run({ model: manifest.name, graph: 'forward', input, outputs: ['features'] });
    await moments?.add(features.data);
    return { outcomes: none(input), pieces: [bytesOf(features)] };
  },
};

const classify: Operation = {
  reads: 'images',
  array: 'logits',
  formats: ['safetensors', 'npy'],
  moments: false,
  row: ({ labels }) => [labels.length],
  async run(input, { engine, manifest: { name, labels }, topK }) {
    const { logits } = await engine.run({ model: name, graph: 'forward', input, outputs: ['logits'] });
    const outcomes = none(input).map((_, i) => ({ top: topOf(rows(logits, i, i + 1).data, labels, topK) }));
    return { outcomes, pieces: [bytesOf(logits)] };
  },
};

const invert: Operation = {
  reads: 'features',
  array: 'image',
  formats: ['png', 'safetensors', 'npy'],
  moments: false,
  row(manifest) {
    if (isInvertible(manifest)) return [manifest.input.channels, manifest.input.height, manifest.input.width];
    throw new BatchError(`model ${manifest.name} is a ${manifest.architecture.name} and has no inverse`);
  },
  async run(input, { engine, manifest, data }) {
    const outputs = ['pixels', 'image'] as const;
    const { pixels, image } = await engine.run({ model: manifest.name, graph: 'inverse', input, outputs });
    const outcomes = none(input).map((facts, i) =>
      rows(image, i, i + 1).data.every(Number.isFinite) ? facts : OVERFLOW,
    );
    const good = outcomes.flatMap((outcome, i) => (isBad(outcome) ? [] : [i]));
    const pieceOf = (i: number) => (data === 'png' ? toPng(rows(pixels, i, i + 1)) : bytesOf(rows(image, i, i + 1)));
    return { outcomes, pieces: await Promise.all(good.map(pieceOf)) };
  },
};

const OVERFLOW: Bad = {
  error: 'features-overflow',
  detail: 'the inverse of these features is not finite: some of them are too large',
};

export const operations: Readonly<Record<OperationName, Operation>> = { encode, classify, invert };

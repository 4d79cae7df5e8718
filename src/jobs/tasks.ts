import { rows } from '../../export/graph/rows.js';
import { bytesOf, type Tensor } from '../../export/graph/tensor.js';
import { isInvertible, type Manifest } from '../../export/model/manifest.js';
import type { Engine } from '../engine/engine.js';
import { toPng } from '../images/encode.js';
import { topOf } from '../operations/classify.js';
import { BatchError } from './errors.js';
import { type Bad, type Facts, isBad } from './index-lines.js';
import type { DataFormat, InputKind, TaskName } from './plan.js';

/** The results of a batch of inputs. */
export interface Computed {
  /** One outcome for each input. */
  readonly outcomes: readonly (Bad | Facts)[];
  /** The data of the inputs that are not bad: rows of an array in any number of pieces, or one file for each input. */
  readonly pieces: readonly Uint8Array[];
}

export interface TaskContext {
  readonly engine: Engine;
  readonly manifest: Manifest;
  readonly data: DataFormat;
  readonly topK: number;
}

/** What `irevnet batch` can compute. A new task is an entry in `tasks` below, and its name in plan.ts. */
interface Task {
  readonly reads: InputKind;
  /** The name of the array of results. */
  readonly array: string;
  /** Formats of the results; the first is the default. */
  readonly formats: readonly DataFormat[];
  /** Whether the merged result has the mean and the covariance of the rows. */
  readonly moments: boolean;
  /** The shape of the result of one input. @throws BatchError when the model cannot do the task */
  row(manifest: Manifest): readonly number[];
  run(input: Tensor, context: TaskContext): Promise<Computed>;
}

const noFacts = (input: Tensor): Facts[] => Array.from({ length: input.dims[0]! }, () => ({}));

const encode: Task = {
  reads: 'images',
  array: 'features',
  formats: ['safetensors', 'npy'],
  moments: true,
  row: ({ features }) => features.shape,
  async run(input, { engine, manifest }) {
    const { features } = await engine.run({ model: manifest, graph: 'forward', input, outputs: ['features'] });
    return { outcomes: noFacts(input), pieces: [bytesOf(features)] };
  },
};

const classify: Task = {
  reads: 'images',
  array: 'logits',
  formats: ['safetensors', 'npy'],
  moments: false,
  row: ({ labels }) => [labels.length],
  async run(input, { engine, manifest, topK }) {
    const { labels } = manifest;
    const { logits } = await engine.run({ model: manifest, graph: 'forward', input, outputs: ['logits'] });
    const outcomes = noFacts(input).map((_, i) => ({ top: topOf(rows(logits, i, i + 1).data, labels, topK) }));
    return { outcomes, pieces: [bytesOf(logits)] };
  },
};

const invert: Task = {
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
    const { pixels, image } = await engine.run({ model: manifest, graph: 'inverse', input, outputs });
    const outcomes = noFacts(input).map((facts, i) =>
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

export const tasks: Readonly<Record<TaskName, Task>> = { encode, classify, invert };
